/** Words are found by their stems; the index is filled anew from the records. */
export const stemmedText = /* sql */ `
drop table paper_words;
drop table paper_text;
create virtual table paper_text using fts5(
  title, authors, abstract,
  content='', contentless_delete=1, tokenize="porter unicode61 remove_diacritics 2", prefix='3'
);
create virtual table paper_words using fts5vocab('paper_text', 'row');
insert into paper_text (rowid, title, authors, abstract)
  select num, fold(record ->> '$.title'),
    (select fold(group_concat(value ->> '$.name', ', ')) from json_each(record, '$.authors')),
    fold(record ->> '$.abstract')
  from papers;
`;
