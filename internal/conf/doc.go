// Package conf reads a daemon's configuration file, strictly.
//
// In: a TOML file, and a pointer to a struct that already holds the defaults.
// Out: the struct filled in, and every fault at once, each naming file, line, key and what would be accepted.
// It guarantees that a key it does not know, or a value of the wrong type, is never silently passed over.
// It writes nothing, so a power cut has nothing to spoil.
//
// A daemon joins what Load found with its own checks, so that one run shows all:
//
//	c := Defaults()
//	doc, err := conf.Load(file, &c)
//	if doc == nil {
//		return err // not readable, or not TOML
//	}
//	if err := errors.Join(err, c.Validate(doc)); err != nil {
//		return err
//	}
package conf
