/**
 * What the full-text indexes write at a commit is merged by the store itself, a little at a time (`TextWriter.tidy`): left
 * to themselves they merge dozens of milliseconds' worth within one commit. A level that has grown to 64 segments
 * is merged at once all the same.
 */
export const gradualMerging = /* sql */ `
insert into paper_text (paper_text, rank) values ('automerge', 0), ('crisismerge', 64);
insert into author_text (author_text, rank) values ('automerge', 0), ('crisismerge', 64);
`;
