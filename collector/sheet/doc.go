// Package sheet reads the tables that programmes keep: CSV and XLSX.
//
// In: a file, whose kind is told by its first bytes and not by its name. Out: its rows, one after the other, each with
// the number that a spreadsheet program shows, and notes on what had to be found out (encoding, separator).
// It guarantees bounds whatever the file holds: see MaxFile and its neighbours. What is damaged is an error, never a
// shorter table. It writes nothing but temporary files of a large workbook, which Close removes, so a power cut spoils nothing.
package sheet
