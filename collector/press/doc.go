// Package press makes what people read and hand on: a page, a PDF, and tables of figures as CSV, XLSX and their dictionary.
//
// In: a Document, whose texts are translated and whose numbers are written out already, or a Data, whose values are numbers still. Out: an HTML
// fragment with its stylesheet or a whole file, an A4 PDF with its fonts, CSV, XLSX, a data package. It knows nothing of what the figures mean.
// It guarantees the same bytes for the same input, that no text breaks out of its place, whatever characters it has, that a table row is
// never cut in two by a page's end, and that a document from right to left is mirrored as a whole. It reads no clock and keeps nothing.
package press
