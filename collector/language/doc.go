// Package language says things in the reader's language: texts, plurals, numbers, times.
//
// In: English texts with {placeholders} as they stand in the code, and catalogues, one gettext file (.po) a language, embedded or from a folder of the
// programme. Out: the text in a language; what a catalogue lacks in English. A catalogue with a fault in it is refused, with its line. It guarantees that a
// value put into a sentence does not change the order of the words around it, in either direction of writing. It keeps nothing.
package language
