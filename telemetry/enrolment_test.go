package telemetry

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func enrolment(t testing.TB) Enrolment {
	t.Helper()
	e, err := NewEnrolment(Address{"gokina", "main"}, "https://noc.example.org:8443/", sha256.Sum256([]byte("ca")))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAnEnrolmentTokenSurvivesBeingCopied(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := Enrolment{
			Address: Address{rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,62}`).Draw(t, "site"), rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,62}`).Draw(t, "agent")},
			URL:     "https://" + rapid.StringMatching(`[a-z0-9.-]{1,150}`).Draw(t, "host") + rapid.SampledFrom([]string{"", ":8443"}).Draw(t, "port"),
			CA:      [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "ca")), Word: [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "word")),
		}
		text := e.String()
		at := rapid.IntRange(0, len(text)).Draw(t, "break")
		got, err := ParseEnrolment(" " + text[:at] + "\r\n  " + text[at:] + "\n")
		if err != nil || got != e {
			t.Errorf("got %+v (%v), want %+v", got, err, e)
		}
	})
}

func TestADamagedEnrolmentTokenIsToldAsThat(t *testing.T) {
	text := enrolment(t).String()
	const damaged = `the enrolment token is cut short or mistyped; copy the whole of it, from "nabz1-" to its end`
	for i := len(enrolPrefix); i < len(text); i++ {
		for what, bad := range map[string]string{"cut": text[:i], "one left out": text[:i] + text[i+1:], "another letter": text[:i] + other(text[i]) + text[i+1:]} {
			if _, err := ParseEnrolment(bad); fmt.Sprint(err) != damaged {
				t.Fatalf("%s at %d of %s: got %v", what, i, text, err)
			}
		}
	}
	rows := map[string]string{
		"":                              `this is no enrolment token: one begins with "nabz1-"; "nabz-collector agent add" prints it`,
		"s3cret":                        `this is no enrolment token: one begins with "nabz1-"; "nabz-collector agent add" prints it`,
		text + strings.Repeat("A", 700): damaged,
	}
	for bad, want := range rows {
		if _, err := ParseEnrolment(bad); fmt.Sprint(err) != want {
			t.Errorf("%q:\n got %v\nwant %s", bad, err, want)
		}
	}
}

func TestWhatIsCopiedAlongWithATokenDoesNoHarm(t *testing.T) {
	e := enrolment(t)
	text := e.String()
	for what, copied := range map[string]string{
		"the command":              "nabz-agent enroll " + text,
		"the command and a prompt": "root@OpenWrt:~# nabz-agent enroll " + text + "\r\n",
		"quotation marks":          "\"" + text + "\"",
		"those of a telephone":     "“" + text + "”",
		"a full stop":              "Your token: " + text + ".",
		"a quoted message":         "> " + text[:60] + "\n> " + text[60:120] + "\n> " + text[120:],
		"soft line breaks":         text[:70] + "=\r\n" + text[70:],
		"characters nobody sees":   "\ufeff" + text[:30] + "\u200b" + text[30:] + "\u00a0",
		"the name of the agent":    "gokina/main\t" + text,
	} {
		if got, err := ParseEnrolment(copied); err != nil || got != e {
			t.Errorf("%s: %q became %+v (%v)", what, copied, got, err)
		}
	}
}

func other(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func TestAnAddressToEnrolAtIsAnHTTPSServer(t *testing.T) {
	for text, good := range map[string]bool{"https://noc.example.org": true, "https://192.0.2.1:8443": true, "https://[2001:db8::1]:8443": true,
		"http://noc.example.org": false, "noc.example.org:8443": false, "https://": false, "https://u:p@noc": false, "https://noc/x": false, "https://noc?x": false,
		"https://" + strings.Repeat("n", 200): false} {
		if err := CheckEnrolURL(text); (err == nil) != good {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func TestAnEnrolRequestTellsTheHashOfTheSecretAndNotTheSecret(t *testing.T) {
	e := enrolment(t)
	r := e.Request("s3cret")
	a, word, secret, err := r.Parse()
	if err != nil || a != e.Address || word != e.Word || secret != sha256.Sum256([]byte("s3cret")) || strings.Contains(fmt.Sprint(r), "s3cret") {
		t.Errorf("got %v %x %x (%v) from %v", a, word, secret, err, r)
	}
	for _, bad := range []EnrolRequest{{}, {Address: "a/b"}, {Address: "a/b", Word: r.Word}, {Address: "a", Word: r.Word, Secret: r.Secret}, {Address: "a/b", Word: r.Word + "00", Secret: r.Secret},
		{Address: "a/b", Word: r.Word[:31] + "x", Secret: r.Secret}} {
		if _, _, _, err := bad.Parse(); err == nil {
			t.Errorf("%+v was read", bad)
		}
	}
}

func FuzzParseEnrolment(f *testing.F) {
	f.Add(enrolment(f).String())
	f.Add("nabz1-AAAA")
	f.Add("nabz1-")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := ParseEnrolment(text)
		if err != nil {
			return
		}
		if again, err := ParseEnrolment(e.String()); err != nil || again != e {
			t.Errorf("%q became %+v (%v)", text, again, err)
		}
	})
}
