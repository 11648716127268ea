package telemetry

import "testing"

func FuzzParseAddress(f *testing.F) {
	f.Add("gokina/main")
	f.Fuzz(func(t *testing.T, text string) {
		if a, err := ParseAddress(text); err == nil && a.String() != text {
			t.Fatalf("%q reads as %v", text, a)
		}
	})
}

func FuzzEnrolRequest(f *testing.F) {
	f.Add("gokina/main", "00112233445566778899aabbccddeeff", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")
	f.Fuzz(func(t *testing.T, address, word, secret string) {
		a, w, s, err := EnrolRequest{Address: address, Word: word, Secret: secret}.Parse()
		if err == nil && (a.Check() != nil || len(w)*2 != len(word) || len(s)*2 != len(secret)) {
			t.Fatalf("%q %q %q read as %v %x %x", address, word, secret, a, w, s)
		}
	})
}
