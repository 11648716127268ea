// Package atomicfile replaces files whole.
//
// In: a file's name and what it is to hold. Out: at any instant, through a power cut as well, the old file or the new one, whole. The
// owner stays who it was.
package atomicfile
