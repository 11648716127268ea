//go:build !race

package report_test

const raceDetected = false
