// Package terminal says whether a person watches, and paints what is written for one.
//
// In: where a program writes, and its environment. Out: the same text, with colours where out is a terminal that has them and nobody asked for none
// (NO_COLOR, https://no-color.org; TERM=dumb); a pipe or a file gets the text as it is.
// It guarantees that colour adds to a word and never stands for one: without the escape sequences the text is the same.
// It keeps nothing.
package terminal
