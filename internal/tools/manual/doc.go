// Command manual writes what there is to read about the programs: docs/configuration.md, manual pages, and what shells complete lines with.
//
// In: the source, of which it builds both programs and asks them for their help. Out: "manual reference FILE" writes the page, "manual pages DIR" the
// files that packages install. It guarantees the same bytes for the same source and SOURCE_DATE_EPOCH; without that the
// date of the last commit counts.
// A power cut leaves files half written; run it again.
package main
