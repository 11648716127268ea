package speedtest

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets tests that wait for seconds do so all at once, on however few processors, unless -parallel says otherwise.
func TestMain(m *testing.M) {
	flag.Parse()
	most := "16"
	flag.Visit(func(f *flag.Flag) {
		if f.Name == "test.parallel" {
			most = f.Value.String()
		}
	})
	if err := flag.Set("test.parallel", most); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}
