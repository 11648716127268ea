// Package survey turns the rows of a programme's spreadsheet into sites.
//
// In: rows of texts, as people wrote them, and the sites that are there already. Out: which sites are new, which change
// and how, or every fault at once with row, column, value and what would be taken instead.
// It guarantees that nothing is guessed in silence: what can be read in two ways is a fault, what looks wrong is a
// warning, and a column that is not used is named. It writes nothing, so a power cut has nothing to spoil.
package survey
