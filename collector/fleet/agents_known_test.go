package fleet

import (
	"testing"

	"github.com/smartvillage/nabz/telemetry"
)

func TestABrokerOfOthersIsToldOfThoseWhoMaySignInAndOfNobodyElse(t *testing.T) {
	r, _ := open(t)
	other := school
	secret, err := r.AddAgent(clinic)
	if err != nil {
		t.Fatal(err)
	}
	verifier := func(a telemetry.Address) (string, bool) {
		for _, v := range r.Verifiers() {
			if v.Address == a {
				return v.Mosquitto, true
			}
		}
		return "", false
	}
	want := func(what string, a telemetry.Address, mosquitto string, there bool) {
		t.Helper()
		if got, ok := verifier(a); got != mosquitto || ok != there || r.Known(a) != there {
			t.Errorf("%s: %s has verifier %q, is listed %t and known %t; want %q and %t", what, a, got, ok, r.Known(a), mosquitto, there)
		}
	}
	want("a secret made by hand", clinic, telemetry.MosquittoVerifier(secret), true)
	want("an agent nobody knows", other, "", false)
	e := token(t, r, other, false)
	want("a token that waits", other, "", false)
	q := e.Request("its own secret")
	if err := r.Enrol(other, e.Word, sum("its own secret"), q.Mosquitto, noon); err != nil {
		t.Fatal(err)
	}
	want("an agent that has enrolled", other, telemetry.MosquittoVerifier("its own secret"), true)
	again := token(t, r, other, true)
	want("a token for a new secret", other, telemetry.MosquittoVerifier("its own secret"), true)
	if err := r.Enrol(other, again.Word, sum("another"), "", noon); err != nil {
		t.Fatal(err)
	}
	want("an older agent that sends no verifier", other, "", true)
	for _, a := range []telemetry.Address{clinic, other} {
		if err := r.Revoke(a, noon); err != nil {
			t.Fatal(err)
		}
		want("revoked", a, "", false)
	}
	token(t, r, clinic, true)
	want("invited again", clinic, "", false)
}
