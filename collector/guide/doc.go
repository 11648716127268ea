// Package guide shows the programme's pages of help to whoever reads them on a phone.
//
// In: the Markdown of docs/, and the programme's own addresses, which take the place of the examples in it. Out: /help and the pages below,
// as HTML without a script, drawn and packed once at the start. It is for everybody: nothing in it is secret.
// Guarantees: a link leads to a page that is there or is none; how often one address may ask is bounded. It keeps nothing, so a power cut
// takes nothing.
package guide
