package conf

import "testing"

func TestAKeyIsSetAndNothingElseChanges(t *testing.T) {
	rows := []struct{ what, text, key, want string }{
		{"there", "a = 1\n[influx]\n# why\ntoken = \"\" # old\nurl = \"u\"\n[web]\ntoken = 3\n", "influx.token", "a = 1\n[influx]\n# why\ntoken = \"x\"\nurl = \"u\"\n[web]\ntoken = 3\n"},
		{"missing in its section", "a = 1\n[influx]\nurl = \"u\"\n", "influx.token", "a = 1\n[influx]\ntoken = \"x\"\nurl = \"u\"\n"},
		{"without its section", "a = 1\n", "influx.token", "a = 1\n\n[influx]\ntoken = \"x\"\n"},
		{"in nothing", "", "influx.token", "[influx]\ntoken = \"x\"\n"},
		{"above all sections", "# first\nsite = \"\"\n[a]\nsite = 3\n", "site", "# first\nsite = \"x\"\n[a]\nsite = 3\n"},
		{"missing above all sections", "[a]\nsite = 3\n", "site", "site = \"x\"\n[a]\nsite = 3\n"},
		{"a comment that looks like it", "[a]\n# b = 1\nb = 2\n", "a.b", "[a]\n# b = 1\nb = \"x\"\n"},
	}
	for _, r := range rows {
		if got := Set(r.text, r.key, `"x"`); got != r.want {
			t.Errorf("%s:\n got %q\nwant %q", r.what, got, r.want)
		}
	}
}
