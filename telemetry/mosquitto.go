package telemetry

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"strings"
)

// A Mosquitto broker keeps of each password "$7$<rounds>$<salt>$<PBKDF2-HMAC-SHA512>", both in base64.
const (
	mosquittoPrefix = "$7$101$"
	mosquittoRounds = 101 // what mosquitto_passwd takes
	mosquittoSalt   = 12  // bytes
	mosquittoLen    = len(mosquittoPrefix) + 16 + 1 + 88
)

// MosquittoVerifier is what a Mosquitto broker keeps of a secret of ours, as in its password file behind the user name. An agent sends it as it enrols,
// since the collector gets only a hash that the broker has no use for. A hundred rounds are few for a password of a person and plenty for
// 256 random bits, of which no number of tries finds one; and a router must not be slow at it, nor the broker when all agents come back at
// once. The salt is of the secret's SHA-256, which the collector has anyway: random as the secret, and the same each time, so that
// a request to enrol that is sent again is the same request.
func MosquittoVerifier(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	salt := sum[:mosquittoSalt]
	key, err := pbkdf2.Key(sha512.New, secret, salt, mosquittoRounds, sha512.Size)
	if err != nil {
		panic(err) // only for lengths that FIPS 140 forbids, in a program that was built for it
	}
	return mosquittoPrefix + base64.StdEncoding.EncodeToString(salt) + "$" + base64.StdEncoding.EncodeToString(key)
}

// CheckMosquittoVerifier tells why a text is no verifier. One that is goes into a file line by line as it stands.
func CheckMosquittoVerifier(text string) error {
	rest, ok := strings.CutPrefix(text, mosquittoPrefix)
	salt, key, ok2 := strings.Cut(rest, "$")
	s, err1 := base64.StdEncoding.Strict().DecodeString(salt)
	k, err2 := base64.StdEncoding.Strict().DecodeString(key)
	if !ok || !ok2 || len(text) != mosquittoLen || err1 != nil || err2 != nil || len(s) != mosquittoSalt || len(k) != sha512.Size {
		return fmt.Errorf("want a verifier as Mosquitto's \"%s<salt>$<key>\"", mosquittoPrefix)
	}
	return nil
}
