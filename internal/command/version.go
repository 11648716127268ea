package command

// Release is the version that this tree becomes, as semantic versioning has it. CHANGELOG.md says what is in it; packages bear it.
const Release = "0.7.0"
