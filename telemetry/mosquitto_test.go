package telemetry

import (
	"strings"
	"testing"
)

// The text was made by another program: python3 -c 'import hashlib, base64; …hashlib.pbkdf2_hmac("sha512", secret, salt, 101, 64)'.
func TestTheVerifierIsWhatMosquittoComputes(t *testing.T) {
	const want = "$7$101$Qe9LsLI2YeZjAarD$V9X2Gda933KsHtyh0s9PGZVbCnrv/pdJM1Rb1BcKE4Q6xuafQgdfp0dQXNnTAtf2eCbgg8aq4a6CotebErUHBg=="
	got := MosquittoVerifier("open sesame")
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if err := CheckMosquittoVerifier(got); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]string{
		"nothing": "", "another scheme": "$6$" + got[3:], "other rounds": strings.Replace(got, "$101$", "$999$", 1), "cut short": got[:len(got)-1],
		"two lines": got + "\nroot:x", "a line break inside": got[:40] + "\n" + got[41:], "a colon": got[:40] + ":" + got[41:], "a longer salt": strings.Replace(got, "$101$", "$101$AAAA", 1),
	} {
		if CheckMosquittoVerifier(bad) == nil {
			t.Errorf("%s is taken for a verifier", name)
		}
	}
}
