/**
 * The commonest passwords of ten characters and more (shorter ones are refused by length), in lower case, as lists of
 * leaked ones show them year after year.
 */
export const commonPasswords: ReadonlySet<string> = new Set(
  `1234567890 12345678910 123456789a 123456789q a123456789 q123456789 0123456789 9876543210 0987654321 1q2w3e4r5t
  1q2w3e4r5t6y qwertyuiop qwertyuiop123 qwerty12345 qwerty123456 qwerty1234 qwerty123456789 1qaz2wsx3edc zaq12wsxcde
  asdfghjkl1 asdfghjkl123 zxcvbnm123 password12 password123 password1234 password12345 password123456 passw0rd123
  password01 password10 password11 password99 password2024 password2025 password2026 passwordpassword mypassword
  mypassword1 newpassword changeme123 changemenow letmein123 letmein1234 welcome123 welcome1234 welcome2024 welcome2025
  welcome2026 iloveyou12 iloveyou123 iloveyou1234 iloveyouforever ilovemyself sunshine123 princess123 football123
  baseball123 superman123 batman12345 dragon12345 monkey12345 shadow12345 master12345 michael123 jennifer123 jordan12345
  computer123 internet123 trustno1trustno1 administrator admin12345 admin123456 adminadmin admin@12345 rootroot123
  superadmin test123456 testtest123 testing123 abcdefghij abcdefghijk abcd123456 abcde12345 abc1234567 abc123456789
  aa123456789 a1b2c3d4e5 a1b2c3d4e5f6 1a2b3c4d5e 1029384756 1357924680 1122334455 112233445566 123123123123 1231231234
  121212121212 123321123321 1234512345 1234554321 12345qwert 123456abcd 123456qwerty 123qweasdzxc 123qwe123qwe
  147258369a 741852963a 789456123a 159753456 159357258 qazwsxedcrfv qazwsxedc123 qweasdzxc123 qweqweqwe123 whatever123
  starwars123 pokemon123 minecraft123 fortnite123 liverpool123 manchester1 arsenal1234 chelsea1234 barcelona123
  correcthorsebatterystaple p@ssw0rd123 p@ssword123 p@ssw0rd1234 p@$$w0rd123 pa$$word123
  passphrase123 secretsecret secret12345 topsecret123 opensesame1 hello12345 helloworld helloworld1 helloworld123
  hellohello goodmorning goodmorning1 blessed1234 jesuschrist jesuschrist1 godisgood123 summer2024 summer2025 summer2026
  winter2024 winter2025 winter2026 spring2025 spring2026 autumn2025 autumn2026 january2026 december2025 november2026
  monday12345 friday12345 google12345 facebook123 linkedin123 twitter1234 samsung1234 iphone12345 android1234
  microsoft123 windows1234 linux123456 ubuntu12345 arxivarxiv dailypapers concord123 research123 university1
  professor1 phdstudent`
    .split(/\s+/)
    .filter((word) => word.length >= 10),
);
