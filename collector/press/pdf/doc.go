// Package pdf writes PDF 1.7 files: pages of filled shapes, lines and placed glyphs, with the fonts that they use.
//
// In: shapes, and runs of glyphs that typeset placed. Out: one file, with its title, its language and bookmarks; of each font only the glyphs that occur.
// It guarantees the same bytes for the same calls, program and kind of processor: no clock, no random identity. Text can be copied and searched in the order in which it
// is read, right to left too. A page is packed as soon as the next begins, so that a long document takes little memory. It writes nothing but what it is told.
package pdf
