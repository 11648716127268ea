// Package reference is what each key of each configuration file means and takes.
//
// In: the example files with their comments, the structs that they are read into, and what the programs answer to values that cannot be. Out: a
// list of keys, as a page for people and as manual pages. So a range that is told is the one that is enforced: it is read from the refusal.
// It guarantees the same bytes for the same code.
// It keeps nothing.
package reference
