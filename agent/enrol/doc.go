// Package enrol makes this router an agent of the programme, with the token that the NOC has made for it.
//
// In: an enrolment token. Out: configuration, authority's certificate and secret of an agent, as files, and what to do next in words.
// The router makes its secret by itself and tells the collector only its hash. Each file is replaced whole, the secret last. The secret is on
// disk before the collector hears of it: whatever breaks off, power included, the same command goes on with the same token.
// It may import agent; nothing in agent imports it.
package enrol
