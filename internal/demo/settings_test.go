package demo

import (
	"testing"
)

func TestSettingsGoIntoTheShippedExample(t *testing.T) {
	const example = "# site = \"not this\"\nsite = \"\"\n\n[probe]\n# Addresses.\nanchors = [\"1.1.1.1\"]\nevery = \"60s\"\n\n[web]\nevery = \"1s\"\n"
	got, err := fill(example, []setting{{"site", text("this-host")}, {"probe.anchors", list([]string{"127.0.0.1:9", "127.0.0.2:9"})}, {"web.every", text("2s")}})
	want := "# site = \"not this\"\nsite = \"this-host\"\n\n[probe]\n# Addresses.\nanchors = [\"127.0.0.1:9\", \"127.0.0.2:9\"]\nevery = \"60s\"\n\n[web]\nevery = \"2s\"\n"
	if err != nil || got != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, got, want)
	}
	if _, err := fill(example, []setting{{"probe.nothing", "1"}}); err == nil || err.Error() != `the shipped example has no key "probe.nothing"` {
		t.Errorf("got %v", err)
	}
}
