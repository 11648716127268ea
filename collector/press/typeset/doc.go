// Package typeset turns text of any script, in either direction, into lines of placed glyphs.
//
// In: text as it is stored, the direction of its paragraph, a style and a width in points. Out: lines, each a row of runs of glyph ids
// in one font, in the order in which they stand on paper.
// It guarantees that no text makes it panic or loop: control characters become spaces, embeddings and overrides that reorder what stands
// beside them are dropped, a word too long for its line is cut between two letters, what no font has is an empty box. It keeps nothing but what it has shaped before.
package typeset
