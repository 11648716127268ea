// Package docs embeds these pages, so that the collector can show them where there is no other way to read them.
//
// In: the Markdown files of this folder and the examples, as they are in the repository.
// Out: Pages, such as "field-engineer.md" and "examples/sites.csv". Pictures are left out: they weigh six times as much as all the text,
// and who reads this on a phone pays for them.
// It guarantees nothing but their bytes, and writes nothing.
package docs
