package language

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func text(t *testing.T, code string) *Text {
	t.Helper()
	set, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	out, err := set.Text(code)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// bare is a text without what sets its parts apart.
func bare(s string) string {
	return strings.NewReplacer("\u2066", "", "\u2068", "", "\u2069", "", "\u200f", "", "\u00a0", " ").Replace(s)
}

func TestFiguresAreWrittenAsTheLanguageDoes(t *testing.T) {
	const minute, hour, day = 60_000, 3_600_000, 86_400_000
	for _, c := range []struct {
		what   string
		write  func(*Text) string
		en, ur string
	}{
		{"count", func(t *Text) string { return t.Number(1234567) }, "1,234,567", "1,234,567"},
		{"small count", func(t *Text) string { return t.Number(999) }, "999", "999"},
		{"negative", func(t *Text) string { return t.Number(-123456) }, "−123,456", "−123,456"},
		{"percent down", func(t *Text) string { return t.Percent(0.973199, Down) }, "97.31 %", "97.31%"},
		{"percent up", func(t *Text) string { return t.Percent(0.030068, Up) }, "3.01 %", "3.01%"},
		{"a binary fraction is no less than it was", func(t *Text) string { return t.Percent(0.29, Down) }, "29.00 %", "29.00%"},
		{"nearly all is not all", func(t *Text) string { return t.Percent(0.999999, Down) }, "99.99 %", "99.99%"},
		{"all", func(t *Text) string { return t.Percent(1, Down) }, "100.00 %", "100.00%"},
		{"round percent", func(t *Text) string { return t.PercentOf(0.9) + t.PercentOf(0.999) }, "90 %99.9 %", "90%99.9%"},
		{"bounds", func(t *Text) string { return t.PercentRange(0.940861, 0.959677) }, "94.08–95.97 %", "94.08–95.97%"},
		{"points", func(t *Text) string { return t.Points(0.35) + t.Points(-1) + t.Points(0) }, "+0.35−1.000.00", "+0.35−1.000.00"},
		{"no time", func(t *Text) string { return t.Duration(0) }, "0 s", "0 سیکنڈ"},
		{"hardly a time", func(t *Text) string { return t.Duration(400) }, "less than 1 s", "1 سیکنڈ سے کم"},
		{"seconds", func(t *Text) string { return t.Duration(45_000) }, "45 s", "45 سیکنڈ"},
		{"minutes and seconds", func(t *Text) string { return t.Duration(5*minute + 2000) }, "5 min 2 s", "5 منٹ 2 سیکنڈ"},
		{"minutes", func(t *Text) string { return t.Duration(12 * minute) }, "12 min", "12 منٹ"},
		{"an hour", func(t *Text) string { return t.Duration(hour) }, "1 h", "1 گھنٹہ"},
		{"nearly an hour", func(t *Text) string { return t.Duration(hour - 1) }, "1 h", "1 گھنٹہ"},
		{"hours", func(t *Text) string { return t.Duration(3*hour + 12*minute) }, "3 h 12 min", "3 گھنٹے 12 منٹ"},
		{"nearly a day", func(t *Text) string { return t.Duration(day - 1) }, "1 d", "1 دن"},
		{"days", func(t *Text) string { return t.Duration(3*day + 4*hour) }, "3 d 4 h", "3 دن 4 گھنٹے"},
		{"many days", func(t *Text) string { return t.Duration(1234 * day) }, "1,234 d", "1,234 دن"},
		{"negative time", func(t *Text) string { return t.Duration(-5) }, "0 s", "0 سیکنڈ"},
		{"rate", func(t *Text) string { return t.Rate(4_200_000) }, "4.2 Mbit/s", "4.2 Mbit/s"},
		{"a rate just below its target", func(t *Text) string { return t.Rate(3_999_999) }, "3.99 Mbit/s", "3.99 Mbit/s"},
		{"slow", func(t *Text) string { return t.Rate(70_149) }, "70.1 kbit/s", "70.1 kbit/s"},
		{"fast", func(t *Text) string { return t.Rate(1e9) + t.Rate(123_456_789) }, "1 Gbit/s123 Mbit/s", "1 Gbit/s123 Mbit/s"},
		{"bytes", func(t *Text) string { return t.Bytes(0) + t.Bytes(1_254_000_000_000) }, "0 kB1.25 TB", "0 kB1.25 TB"},
		{"ms", func(t *Text) string { return t.Millis(1200) + t.Millis(52.75) }, "1,200 ms52.8 ms", "1,200 ms52.8 ms"},
		{"month", func(t *Text) string { return t.Month(2026, 10) }, "October 2026", "اکتوبر 2026"},
		{"date", func(t *Text) string { return t.Date(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)) }, "1 May 2026", "1 مئی 2026"},
		{"time", func(t *Text) string { return t.DateTime(time.Date(2026, 5, 1, 8, 5, 0, 0, time.UTC)) }, "1 May 2026, 08:05", "1 مئی 2026، 08:05"},
		{"one", func(t *Text) string { return t.Count(1, "{n} site", "{n} sites") }, "1 site", "1 مقام"},
		{"none", func(t *Text) string { return t.Count(0, "{n} site", "{n} sites") }, "0 sites", "0 مقامات"},
		{"many", func(t *Text) string { return t.Count(1e12, "{n} site", "{n} sites") }, "1,000,000,000,000 sites", "1,000,000,000,000 مقامات"},
		{"list", func(t *Text) string { return t.List("a", "", "b") }, "a, b", "a، b"},
	} {
		for code, want := range map[string]string{"en": c.en, "ur": c.ur} {
			if got := bare(c.write(text(t, code))); got != want {
				t.Errorf("%s in %s: got %q, want %q", c.what, code, got, want)
			}
		}
	}
}

func TestANumberAndItsUnitStayOnOneLineAndInTheirOrder(t *testing.T) {
	for _, code := range []string{"en", "ur"} {
		tx := text(t, code)
		for _, got := range []string{tx.Percent(.5, Down), tx.Rate(5e6), tx.Duration(100_000_000), tx.Millis(5)} {
			if strings.Contains(got, " ") {
				t.Errorf("%s: %q can be broken", code, got)
			}
		}
	}
	if got := text(t, "ur").Rate(5e6); got != "\u20665\u00a0Mbit/s\u2069" {
		t.Errorf("got %q, want it from left to right", got)
	}
}

func TestAValueChangesNothingOfTheOrderAroundIt(t *testing.T) {
	for _, c := range []struct{ code, value, want string }{
		{"en", "Nilore", "district Nilore"},
		{"en", "نیلور", "district \u2068نیلور\u2069"},
		{"ur", "Nilore", "ضلع \u2068Nilore\u2069"},
		{"en", "{name}", "district {name}"},
		{"en", "", "district "},
	} {
		if got := text(t, c.code).Say("district {name}", "name", c.value); got != c.want {
			t.Errorf("%s, %q: got %q, want %q", c.code, c.value, got, c.want)
		}
	}
}

func TestWhatACatalogueLacksIsSaidInEnglish(t *testing.T) {
	ur := text(t, "ur")
	if got := ur.Say("no catalogue has this"); got != "no catalogue has this" {
		t.Errorf("got %q", got)
	}
	if got := bare(ur.Count(2, "{n} stone", "{n} stones")); got != "2 stones" {
		t.Errorf("got %q", got)
	}
}

const head = "msgid \"\"\nmsgstr \"\"\n\"Language: xx\\n\"\n\"Plural-Forms: nplurals=2; plural=(n != 1);\\n\"\n"

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAnotherLanguageIsOneFile(t *testing.T) {
	arabic := strings.NewReplacer("xx", "ar", "nplurals=2; plural=(n != 1);", "nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5);").Replace(head)
	dir := folder(t, map[string]string{"ar.po": arabic + `
msgid "default:LTR"
msgstr "default:RTL"

msgid "1,234.5"
msgstr "١٬٢٣٤٫٥"

#, python-brace-format
msgid "{n} site"
msgid_plural "{n} sites"
msgstr[0] "لا موقع"
msgstr[1] "موقع واحد"
msgstr[2] "موقعان"
msgstr[3] "{n} مواقع"
msgstr[4] "{n} موقعا"
msgstr[5] "{n} موقع"
`, "ja.po": strings.NewReplacer("xx", "ja", "nplurals=2; plural=(n != 1);", "nplurals=1; plural=0;").Replace(head) + "\nmsgid \"{n} site\"\nmsgid_plural \"{n} sites\"\nmsgstr[0] \"{n} か所\"\n",
		"ur.po": strings.Replace(head, "xx", "ur", 1) + "\nmsgid \"pass\"\nmsgstr \"پورا\"\n", "notes.txt": "no catalogue", ".hidden.po": "no catalogue either"})
	set, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := set.Codes(); !slices.Equal(got, []string{"ar", "en", "ja", "ur"}) {
		t.Errorf("languages %v", got)
	}
	for _, c := range []struct {
		code string
		n    int64
		want string
	}{{"ar", 0, "لا موقع"}, {"ar", 1, "موقع واحد"}, {"ar", 2, "موقعان"}, {"ar", 5, "٥ مواقع"}, {"ar", 1234, "١٬٢٣٤ موقعا"}, {"ar", 100, "١٠٠ موقع"}, {"ja", 0, "0 か所"}, {"ja", 1, "1 か所"}, {"ja", 7, "7 か所"}} {
		tx, err := set.Text(c.code)
		if err != nil {
			t.Fatal(err)
		}
		if got := bare(tx.Count(c.n, "{n} site", "{n} sites")); got != c.want {
			t.Errorf("%d in %s: got %q, want %q", c.n, c.code, got, c.want)
		}
	}
	ar, _ := set.Text("ar")
	if !ar.RTL() || bare(ar.Percent(.975, Down)) != "٩٧٫٥٠ %" || ar.Code() != "ar" {
		t.Errorf("Arabic: from right to left %v, 97.5 %% is %q", ar.RTL(), ar.Percent(.975, Down))
	}
	ur, _ := set.Text("ur")
	if ur.Say("pass") != "پورا" {
		t.Errorf("a programme's own ur.po does not replace the one that comes with nabz")
	}
}

func TestALanguageThatIsNotThereIsNamedWithThoseThatAre(t *testing.T) {
	set, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = set.Text("ps"); !errors.Is(err, ErrUnknown) || err.Error() != `"ps": language is not known; there are en, ur` {
		t.Errorf("got %v", err)
	}
	for code, want := range map[string]string{"en": "English", "ur": "اردو"} {
		if got := text(t, code).Name(); got != want {
			t.Errorf("%s calls itself %q, want %q", code, got, want)
		}
	}
}

func TestACatalogueWithAFaultIsRefusedWithItsLine(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"no header":          {"msgid \"a\"\nmsgstr \"b\"\n", `xx.po: there is no header; begin the file with msgid "" and a msgstr with Language and Plural-Forms`},
		"nothing":            {"", `xx.po: there is no header;`},
		"not of a catalogue": {head + "\nmsgid \"a\"\nmsgstr \"b\"\nhello\n", `xx.po:8: "hello" is not of a catalogue; write msgid, msgid_plural, msgstr or a text in quotes`},
		"no quotes":          {head + "\nmsgid a\nmsgstr \"b\"\n", `xx.po:6: a is not a text; write it in "quotes", with \" and \\ within`},
		"an open quote":      {head + "\nmsgid \"a\nmsgstr \"b\"\n", `xx.po:6: "a is not a text;`},
		"no msgstr":          {head + "\nmsgid \"a\"\n\nmsgid \"b\"\nmsgstr \"c\"\n", `xx.po:8: the msgid of line 6 has no msgstr`},
		"no last msgstr":     {head + "\nmsgid \"a\"\n", `xx.po:6: the msgid has no msgstr`},
		"twice":              {head + "\nmsgid \"a\"\nmsgstr \"b\"\nmsgid \"a\"\nmsgstr \"b\"\n", `xx.po:8: "a" is in line 6 already; take one out`},
		"a lost placeholder": {head + "\nmsgid \"{n} of {all}\"\nmsgstr \"{n}\"\n", `xx.po:6: "{n} of {all}" has the placeholders [{all} {n}], its translation has [{n}]; they must be the same`},
		"one of its own":     {head + "\nmsgid \"a\"\nmsgstr \"{b}\"\n", `xx.po:6: "a" has the placeholders [], its translation has [{b}]; they must be the same`},
		"too few forms":      {head + "\nmsgid \"{n} a\"\nmsgid_plural \"{n} as\"\nmsgstr[0] \"{n} b\"\n", `xx.po:6: "{n} a" has 1 forms, the language has 2`},
		"forms out of order": {head + "\nmsgid \"{n} a\"\nmsgid_plural \"{n} as\"\nmsgstr[1] \"{n} b\"\n", `xx.po:8: msgstr[1] does not belong here; write msgstr[0]`},
		"two msgstr":         {head + "\nmsgid \"a\"\nmsgstr \"b\"\nmsgstr \"c\"\n", `xx.po:8: msgstr does not belong here; write msgstr`},
		"another language":   {strings.Replace(head, "xx", "yy", 1), `xx.po: its header says Language: yy; give the file the name of its language`},
		"no plural forms":    {strings.Replace(head, "nplurals=2; plural=(n != 1);", "", 1), `xx.po: its Plural-Forms are ""; write them as gettext has them, such as "nplurals=2; plural=(n != 1);"`},
		"a form too many":    {strings.Replace(head, "plural=(n != 1)", "plural=(n == 0 ? 2 : 1)", 1), `xx.po: its Plural-Forms give 0 the form 2 of 2; take the line that gettext has for the language`},
		"no number":          {head + "\nmsgid \"1,234.5\"\nmsgstr \"5.432,1\"\n", `xx.po: "5.432,1" is no way to write "1,234.5"; write these five digits with the signs that the language puts between`},
		"too much":           {strings.Repeat("#\n", maxFile/2+1), `it has more than 4 MiB; is it a catalogue?`},
	} {
		dir := folder(t, map[string]string{"xx.po": c.body})
		_, err := Load(dir)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "make the folder") {
		t.Errorf("a folder that is not there: %v", err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "xx.po"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "it is not a file") {
		t.Errorf("a folder by the name of a catalogue: %v", err)
	}
}

func TestWhatIsMarkedFuzzyOrEmptyIsNotSaid(t *testing.T) {
	dir := folder(t, map[string]string{"xx.po": head + "\n#, fuzzy\nmsgid \"pass\"\nmsgstr \"wrong\"\n\nmsgid \"fail\"\nmsgstr \"\"\n#~ msgid \"old\"\n#~ msgstr \"older\"\n"})
	set, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	xx, _ := set.Text("xx")
	if xx.Say("pass") != "pass" || xx.Say("fail") != "fail" {
		t.Errorf("got %q and %q", xx.Say("pass"), xx.Say("fail"))
	}
}

func TestPluralFormsAreThoseOfGettext(t *testing.T) {
	for text, want := range map[string][]uint64{ // the form of 0, 1, 2, 5, 11, 21, 22, 100, 101, 111
		"0":          {0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"(n != 1)":   {1, 0, 1, 1, 1, 1, 1, 1, 1, 1},
		"n>1":        {0, 0, 1, 1, 1, 1, 1, 1, 1, 1},
		" ! ( n==1)": {1, 0, 1, 1, 1, 1, 1, 1, 1, 1},
		"n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2": {2, 0, 1, 2, 2, 0, 1, 2, 0, 2}, // Russian
		"n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : n%100>=11 ? 4 : 5":   {0, 1, 2, 3, 4, 4, 4, 5, 5, 4}, // Arabic
		"n%100==1 ? 0 : n%100==2 ? 1 : n%100==3 || n%100==4 ? 2 : 3":                       {3, 0, 1, 3, 3, 3, 3, 3, 0, 3}, // Slovenian
		"n - n + 2*3/4 % n": {0, 0, 1, 1, 1, 1, 1, 1, 1, 1},
		"n/0":               {0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		form, err := compilePlural(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for i, n := range []uint64{0, 1, 2, 5, 11, 21, 22, 100, 101, 111} {
			if got := form(n); got != want[i] {
				t.Errorf("%s of %d: got %d, want %d", text, n, got, want[i])
			}
		}
	}
	for _, text := range []string{"", "n n", "n==", "(n", "n?1", "x", "99999999999", "n;", strings.Repeat("(", 500), strings.Repeat("!", 2000) + "n", strings.Repeat("n?1:", 200) + "0"} {
		if _, err := compilePlural(text); !errors.Is(err, errPlural) {
			t.Errorf("%.20s: got %v", text, err)
		}
	}
}

func FuzzACatalogue(f *testing.F) {
	f.Add(head + "\nmsgid \"{n} a\"\nmsgid_plural \"{n} as\"\nmsgstr[0] \"{n} b\"\nmsgstr[1] \"{n} c\"\n")
	f.Add("\ufeff#, fuzzy\nmsgid \"\"\nmsgstr \"\"\n\"Plural-Forms: nplurals=1; plural=0;\\n\"\n")
	f.Fuzz(func(t *testing.T, body string) {
		c, err := parse("x.po", body)
		if err != nil {
			return
		}
		has := map[string]message{}
		for _, m := range c.messages {
			has[m.id] = m
		}
		header := "msgid \"\"\nmsgstr \"\"\n"
		for k, v := range c.header {
			var b strings.Builder
			quoted(&b, "", k+": "+v+"\n")
			header += strings.TrimPrefix(b.String(), " ")
		}
		again, err := parse("x.po", written(header, c.messages, has, c.count))
		if err != nil || len(again.messages) != len(c.messages) {
			t.Fatalf("what was read is not read again: %v", err)
		}
	})
}
