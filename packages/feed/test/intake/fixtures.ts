import { gzipSync } from "node:zlib";

/** Made-up papers in the shapes in which sources give them. */

const ABSTRACT =
  "We study a &lt;toy&gt; problem &amp; solve it with $\\alpha &lt; 1$. Code: https://github.com/example/toy.";

/** The query interface's answer as its manual has it: order, prefixes on elements, http, wrapped lines. */
export const atomOld = `<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
  <link xmlns="http://www.w3.org/2005/Atom" href="http://arxiv.org/api/query?search_query=all:toy" rel="self" type="application/atom+xml"/>
  <title type="html">ArXiv Query: search_query=all:toy&amp;id_list=&amp;start=0&amp;max_results=2</title>
  <id>http://arxiv.org/api/abc</id>
  <updated>2024-05-14T00:00:00-04:00</updated>
  <opensearch:totalResults xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">2</opensearch:totalResults>
  <opensearch:startIndex xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">0</opensearch:startIndex>
  <opensearch:itemsPerPage xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">2</opensearch:itemsPerPage>
  <entry>
    <id>http://arxiv.org/abs/2405.01234v2</id>
    <updated>2024-05-10T09:00:00Z</updated>
    <published>2024-05-02T23:30:00Z</published>
    <title>A Toy Problem,
      Solved</title>
    <summary>  ${ABSTRACT}
 A second line.
</summary>
    <author><name>Ada Example</name><arxiv:affiliation xmlns:arxiv="http://arxiv.org/schemas/atom">Example University</arxiv:affiliation></author>
    <author><name>Bo M&#252;ller</name></author>
    <arxiv:comment xmlns:arxiv="http://arxiv.org/schemas/atom">12 pages, https://toy.github.io/page.</arxiv:comment>
    <arxiv:journal_ref xmlns:arxiv="http://arxiv.org/schemas/atom">J. Toys 1 (2024) 1-12</arxiv:journal_ref>
    <arxiv:doi xmlns:arxiv="http://arxiv.org/schemas/atom">10.1000/toy</arxiv:doi>
    <link href="http://arxiv.org/abs/2405.01234v2" rel="alternate" type="text/html"/>
    <link title="pdf" href="http://arxiv.org/pdf/2405.01234v2" rel="related" type="application/pdf"/>
    <arxiv:primary_category xmlns:arxiv="http://arxiv.org/schemas/atom" term="cs.LG" scheme="http://arxiv.org/schemas/atom"/>
    <category term="cs.LG" scheme="http://arxiv.org/schemas/atom"/>
    <category term="stat.ML" scheme="http://arxiv.org/schemas/atom"/>
    <category term="68T05, 62H35" scheme="http://arxiv.org/schemas/atom"/>
  </entry>
  <entry>
    <id>http://arxiv.org/abs/cond-mat/0207270v1</id>
    <updated>2002-07-11T10:00:00Z</updated>
    <published>2002-07-11T10:00:00Z</published>
    <title>Old and Short</title>
    <summary>An old abstract.</summary>
    <author><name>Cy Old</name></author>
    <category term="cond-mat" scheme="http://arxiv.org/schemas/atom"/>
  </entry>
</feed>
`;

/** The same first paper in the shape that the query interface has had since 2025. */
export const atomNew = `<?xml version='1.0' encoding='UTF-8'?>
<feed xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns="http://www.w3.org/2005/Atom">
  <id>https://arxiv.org/api/abc</id>
  <title>arXiv Query: search_query=all:toy&amp;id_list=&amp;start=0&amp;max_results=100</title>
  <updated>2026-05-14T12:00:00Z</updated>
  <link href="https://arxiv.org/api/query?search_query=all:toy" type="application/atom+xml"/>
  <opensearch:itemsPerPage>100</opensearch:itemsPerPage>
  <opensearch:totalResults>1</opensearch:totalResults>
  <opensearch:startIndex>0</opensearch:startIndex>
  <entry>
    <id>http://arxiv.org/abs/2405.01234v2</id>
    <title>A Toy Problem, Solved</title>
    <updated>2024-05-10T09:00:00Z</updated>
    <link href="https://arxiv.org/abs/2405.01234v2" rel="alternate" type="text/html"/>
    <link href="https://arxiv.org/pdf/2405.01234v2" rel="related" type="application/pdf" title="pdf"/>
    <summary>${ABSTRACT} A second line.</summary>
    <category term="cs.LG" scheme="http://arxiv.org/schemas/atom"/>
    <category term="stat.ML" scheme="http://arxiv.org/schemas/atom"/>
    <category term="68T05, 62H35" scheme="http://arxiv.org/schemas/atom"/>
    <published>2024-05-02T23:30:00Z</published>
    <arxiv:comment>12 pages, https://toy.github.io/page.</arxiv:comment>
    <arxiv:primary_category term="cs.LG"/>
    <arxiv:journal_ref>J. Toys 1 (2024) 1-12</arxiv:journal_ref>
    <arxiv:doi>10.1000/toy</arxiv:doi>
    <author><name>Ada Example</name><arxiv:affiliation>Example University</arxiv:affiliation></author>
    <author><name>Bo Müller</name></author>
  </entry>
</feed>
`;

export const atomError = `<?xml version='1.0' encoding='UTF-8'?>
<feed xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" xmlns="http://www.w3.org/2005/Atom">
  <id>https://arxiv.org/</id><title>arXiv Search Results</title><updated>2026-05-14T12:00:00Z</updated>
  <opensearch:itemsPerPage>1</opensearch:itemsPerPage><opensearch:totalResults>1</opensearch:totalResults>
  <entry><id>https://arxiv.org/api/errors#incorrect_id_format_for_abc</id><title>Error</title>
    <summary>incorrect id format for abc</summary><author><name>arXiv api core</name></author></entry>
</feed>
`;

export const atomEmpty = atomNew
  .replace(/<entry>[\s\S]*<\/entry>/, "")
  .replace("totalResults>1<", "totalResults>0<");

/** A page of a query answer with papers of these ids. */
export function atomPage(ids: readonly string[], total: number): string {
  const entries = ids.map(
    (
      id,
    ) => `<entry><id>http://arxiv.org/abs/${id}v1</id><title>Paper ${id}</title><summary>About ${id}.</summary>
<published>2024-05-02T00:00:00Z</published><updated>2024-05-02T00:00:00Z</updated>
<author><name>Ada Example</name></author><category term="cs.LG"/></entry>`,
  );
  return `<feed xmlns="http://www.w3.org/2005/Atom"><totalResults>${total}</totalResults>${entries.join("\n")}</feed>`;
}

export const rss = `<?xml version='1.0' encoding='UTF-8'?>
<rss xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:atom="http://www.w3.org/2005/Atom" version="2.0">
  <channel>
    <title>cs.LG updates on arXiv.org</title>
    <link>http://rss.arxiv.org/rss/cs.LG</link>
    <description>cs.LG updates on the arXiv.org e-print archive.</description>
    <atom:link href="http://rss.arxiv.org/rss/cs.LG" rel="self" type="application/rss+xml"/>
    <docs>http://www.rssboard.org/rss-specification</docs>
    <language>en-us</language>
    <lastBuildDate>Thu, 14 May 2026 00:00:00 -0400</lastBuildDate>
    <managingEditor>rss-help@arxiv.org</managingEditor>
    <pubDate>Thu, 14 May 2026 00:00:00 -0400</pubDate>
    <skipDays><day>Saturday</day><day>Sunday</day></skipDays>
    <item>
      <title>New &amp; Shiny</title>
      <link>https://arxiv.org/abs/2605.00001</link>
      <description>arXiv:2605.00001v1 Announce Type: new
Abstract: What is new, &lt;b&gt;truly&lt;/b&gt;.</description>
      <guid isPermaLink="false">oai:arXiv.org:2605.00001v1</guid>
      <category>cs.LG</category>
      <category>cs.AI</category>
      <pubDate>Thu, 14 May 2026 00:00:00 -0400</pubDate>
      <arxiv:announce_type>new</arxiv:announce_type>
      <dc:rights>http://creativecommons.org/licenses/by/4.0/</dc:rights>
      <dc:creator>Ada Example, Bo Müller (Example University, Town), Cy Old, Jr.</dc:creator>
    </item>
    <item>
      <arxiv:announce_type>cross</arxiv:announce_type>
      <dc:creator>Di Cross</dc:creator>
      <guid isPermaLink="false">oai:arXiv.org:2605.00002v1</guid>
      <description><![CDATA[arXiv:2605.00002v1 Announce Type: cross
Abstract: From a & neighbour.]]></description>
      <title>Crossed</title>
      <category>math.ST</category>
    </item>
    <item>
      <title>Better Now</title>
      <description>arXiv:2405.01234v3 Announce Type: replace
Abstract: The third version.</description>
      <guid isPermaLink="false">oai:arXiv.org:2405.01234v3</guid>
      <category>cs.LG</category>
      <arxiv:announce_type>replace</arxiv:announce_type>
      <dc:creator>Ada Example, Bo Müller</dc:creator>
      <arxiv:DOI>10.1000/toy</arxiv:DOI>
      <arxiv:journal_reference>J. Toys 2</arxiv:journal_reference>
    </item>
    <item>
      <title>Strange</title>
      <description>arXiv:2605.00003v1 Announce Type: moved
Abstract: What happened?</description>
      <guid isPermaLink="false">oai:arXiv.org:2605.00003v1</guid>
      <arxiv:announce_type>moved</arxiv:announce_type>
    </item>
    <item>
      <title>Nameless</title>
      <description>Abstract: no identifier.</description>
      <arxiv:announce_type>new</arxiv:announce_type>
    </item>
  </channel>
</rss>
`;

export const rssWeekend = rss.replace(/<item>[\s\S]*<\/item>/, "");

/** The Atom form of the listing's first entry. */
export const atomListing = `<?xml version='1.0' encoding='UTF-8'?>
<feed xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns="http://www.w3.org/2005/Atom" xml:lang="en-us">
  <id>http://rss.arxiv.org/atom/cs.LG</id><title>cs.LG updates on arXiv.org</title><updated>2026-05-14T04:00:01Z</updated>
  <entry>
    <id>oai:arXiv.org:2605.00001v1</id>
    <title>New &amp; Shiny</title>
    <updated>2026-05-14T04:00:01Z</updated>
    <link href="https://arxiv.org/abs/2605.00001" rel="alternate" type="text/html"/>
    <summary>arXiv:2605.00001v1 Announce Type: new
Abstract: What is new, &lt;b&gt;truly&lt;/b&gt;.</summary>
    <category term="cs.LG"/><category term="cs.AI"/>
    <published>2026-05-14T00:00:00-04:00</published>
    <arxiv:announce_type>new</arxiv:announce_type>
    <dc:rights>http://creativecommons.org/licenses/by/4.0/</dc:rights>
    <dc:creator>Ada Example, Bo Müller (Example University, Town), Cy Old, Jr.</dc:creator>
  </entry>
</feed>
`;

function oaiEnvelope(inside: string, verb = "ListRecords"): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://www.openarchives.org/OAI/2.0/ http://www.openarchives.org/OAI/2.0/OAI-PMH.xsd">
<responseDate>2026-05-14T02:40:11Z</responseDate>
<request verb="${verb}">http://oaipmh.arxiv.org/oai</request>
${inside}
</OAI-PMH>`;
}

const header = (id: string, status = "") =>
  `<header${status}><identifier>oai:arXiv.org:${id}</identifier><datestamp>2026-05-13</datestamp><setSpec>cs:cs:LG</setSpec></header>`;

export const oaiRecords = {
  raw: `<record>${header("2405.01234")}<metadata><arXivRaw xmlns="http://arxiv.org/OAI/arXivRaw/">
<id>2405.01234</id><submitter>Ada Example</submitter>
<version version="v2"><date>Fri, 10 May 2024 09:00:00 GMT</date><size>120kb</size><source_type>D</source_type></version>
<version version="v1"><date>Thu, 2 May 2024 23:30:00 GMT</date><size>100kb</size></version>
<title>A Toy Problem,
  Solved</title><authors>Ada Example (1), Bo M\u00fcller (2) and Cy Old, Jr. ((1) Example University, (2) Town)</authors>
<categories>cs.LG stat.ML</categories><comments>12 pages</comments><journal-ref>J. Toys 1</journal-ref><doi>10.1000/toy</doi>
<license>http://creativecommons.org/licenses/by/4.0/</license>
<abstract>  We study a toy &amp; solve it.
</abstract></arXivRaw></metadata></record>`,
  plain: `<record>${header("2405.01234")}<metadata><arXiv xmlns="http://arxiv.org/OAI/arXiv/">
<id>2405.01234</id><created>2024-05-02</created><updated>2024-05-10</updated>
<authors><author><keyname>Example</keyname><forenames>Ada</forenames><affiliation>Example University</affiliation></author>
<author><keyname>Old</keyname><forenames>Cy</forenames><suffix>Jr.</suffix></author></authors>
<title>A Toy Problem, Solved</title><categories>cs.LG stat.ML</categories><license>http://example.org/l</license>
<abstract>We study a toy.</abstract></arXiv></metadata></record>`,
  dublinCore: `<record>${header("2405.01234")}<metadata><oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title>A Toy Problem, Solved</dc:title><dc:creator>Example, Ada</dc:creator><dc:creator>M\u00fcller, Bo</dc:creator>
<dc:subject>Machine Learning</dc:subject><dc:description>We study a toy.</dc:description><dc:description>Comment: 12 pages</dc:description>
<dc:date>2024-05-02</dc:date><dc:date>2024-05-10</dc:date><dc:type>text</dc:type>
<dc:identifier>http://arxiv.org/abs/2405.01234</dc:identifier><dc:identifier>doi:10.1000/toy</dc:identifier></oai_dc:dc></metadata></record>`,
  deleted: `<record>${header("2405.01234", ' status="deleted"')}</record>`,
  foreign: `<record>${header("2405.09999")}<metadata><other xmlns="http://example.org/"/></metadata></record>`,
  nameless: "<record><header><identifier>oai:example.org:1</identifier></header></record>",
};

/** A page of records. `token`: of the next one; "" stands for the empty element of a last page. */
export function oaiPage(records: readonly string[], token?: string): string {
  const next =
    token === undefined ? "" : `<resumptionToken>${token === "" ? "\n " : token}</resumptionToken>`;
  return oaiEnvelope(`<ListRecords>\n${records.join("\n")}\n${next}</ListRecords>`);
}

export function oaiError(code: string, message = "no"): string {
  return oaiEnvelope(`<error code="${code}">${message}</error>`);
}

/** A record in the form arXivRaw with nothing but what it needs. */
export function oaiRecord(id: string): string {
  return oaiRecords.raw
    .replaceAll("2405.01234", id)
    .replace(/<title>[\s\S]*<\/title>/, `<title>Paper ${id}</title>`);
}

export const hfItems = [
  {
    paper: {
      id: "2405.01234",
      authors: [
        { _id: "a", name: "Ada Example", hidden: false },
        { _id: "b", name: "Bo Hidden", hidden: true },
      ],
      publishedAt: "2024-05-02T23:30:00.000Z",
      submittedOnDailyAt: "2024-05-06T01:00:00.000Z",
      title: "A Toy Problem,\nSolved",
      summary: "We study a toy.",
      upvotes: 7,
      discussionId: "c",
      githubRepo: "https://github.com/example/toy",
      projectPage: "not an address",
      somethingNew: { deep: [1] },
    },
    publishedAt: "2024-05-03T20:00:00.000Z",
    title: "A Toy Problem, Solved",
    summary: "We study a toy.",
    numComments: 1,
    isAuthorParticipating: false,
  },
  {
    paper: { id: "abc", title: "No arXiv", summary: "x", authors: [] },
    publishedAt: "2024-05-03T20:00:00.000Z",
  },
  { paper: { id: "2405.00002", title: "No abstract", authors: [] } },
  "no item",
];

export const hfDaily = JSON.stringify(hfItems);
export const hfDetail = JSON.stringify({ ...(hfItems[0] as { paper: object }).paper, linkedModels: [] });

export const dumpLines = [
  {
    id: "2405.01234",
    title: "A Toy Problem, Solved",
    abstract: "We study a toy.",
    authors: ["Ada Example", "Cy Old", "Jr."],
    categories: ["cs.LG"],
    primary: "cs.LG",
    comment: null,
    listed: "2024-05-06",
  },
  {
    id: "901.161",
    title: "Zeros lost",
    abstract: "In a table.",
    authors: "A. One and B. Two",
    categories: "cs.NE cs.AI",
    created: "2009-01-12",
    updated: null,
  },
  {
    id: "0704.0001",
    submitter: "P",
    authors: "C. Bal\\'azs",
    authors_parsed: [
      ["Bal\u00e1zs", "C.", ""],
      ["Nadolsky", "P. M.", "Jr"],
    ],
    title: "Kaggle's\n  form",
    abstract: "  Diphotons.\n",
    categories: "hep-ph",
    license: null,
    "journal-ref": "Phys.Rev.D76:013009,2007",
    versions: [
      { version: "v1", created: "Mon, 2 Apr 2007 19:18:42 GMT" },
      { version: "v2", created: "Tue, 24 Jul 2007 20:10:27 GMT" },
    ],
    update_date: "2008-11-26",
  },
  { title: "Without any id", abstract: "Known by its title." },
  { id: "hello", title: "Wrong id", abstract: "x" },
  { id: "2405.00005", title: "No abstract" },
];
export const dump = `${dumpLines.map((line) => JSON.stringify(line)).join("\n")}\n{"id": "2405.00006", "title": "Cut o\n\n[1]\n`;
export const dumpArray = JSON.stringify(dumpLines, null, 2);
export const dumpGzip = gzipSync(dump);

const LONG = "This abstract is long enough to be one. ".repeat(10).trim();

export const textList = `Get trending papers in your email inbox!

Subscribe

Daily Papers

by Somebody and the research community

Dec 10

A Toy Problem, Solved

${LONG}

  • 4 authors
·
May 6

From an Earlier Year

${LONG}

  • 1 author
·
Sep 20, 2023

Without Count and Date

${LONG}

Right After It

${LONG}

${LONG} Its second paragraph.

  • 1,204 authors
·
Dec 31

Title Alone
`;

/** Every document that parsers read, by name. */
export const documents: Readonly<Record<string, string>> = {
  atomOld,
  atomNew,
  atomError,
  atomEmpty,
  atomListing,
  rss,
  rssWeekend,
  oaiRaw: oaiPage([oaiRecords.raw, oaiRecords.deleted, oaiRecords.foreign], "token|1"),
  oaiPlain: oaiPage([oaiRecords.plain, oaiRecords.dublinCore], ""),
  oaiError: oaiError("badResumptionToken"),
  hfDaily,
  hfDetail,
  dump,
  dumpArray,
  textList,
};
