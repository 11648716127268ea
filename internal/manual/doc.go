// Package manual is what a program has to teach, in each form in which people ask for it.
//
// In: a page as a value, or the text that --help prints, which is read strictly. Out: that text, a manual page in mdoc, and what bash, zsh
// and fish complete a typed line with. So there is one source, the help of each program, and nothing to keep in step with it.
// It guarantees that the same page gives the same bytes, and that a help text it does not understand is a fault that names the line.
// It keeps nothing.
package manual
