// Package pack makes zstd frames (RFC 8878) of short texts that look alike, with a trained dictionary, in a few dozen kilobytes of
// memory: it searches for the cheapest way to write a text, and always uses the dictionary's own entropy tables.
//
// In: a dictionary in zstd's format, texts. Out: frames that any zstd decoder opens which has the dictionary. For training: a
// dictionary from samples. Guarantees: the same text gives the same bytes; any text can be packed. It keeps nothing, so a power
// cut costs it nothing.
package pack
