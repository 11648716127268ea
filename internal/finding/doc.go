// Package finding is the form in which the checks of agent and collector tell what they found.
//
// In: what a check found out about one matter, how well it stands, what to do next. Out: a line for a person, with an arrow and a second one where
// something is to be done; or JSON. It guarantees that a grade is a word and never a colour alone, and that both programs end with the same exit status
// for the same worst grade.
// It keeps nothing.
package finding
