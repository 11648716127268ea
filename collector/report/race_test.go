//go:build race

package report_test

const raceDetected = true
