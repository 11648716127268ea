// Package prose puts a report into words: a document for people, a few lines for a notice, tables for programs.
//
// In: a report.Report, and what is known of its publication. Out: a press.Document in a language, a headline as plain text, a press.Package with
// columns in English. It reckons nothing: each number is one of the report, or a sum or difference of two, and says how many sites and tests stand
// behind it. A figure that is not citable is marked wherever it stands; where nothing is behind one, words say so. It guarantees the same document for
// the same report, and keeps nothing.
package prose
