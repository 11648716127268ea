package packaging

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

// bill is the software bill of materials of a package, CycloneDX 1.5 as JSON. The same parts of the same commit give the same bytes.
func bill(s Source, name, file string, parts []Part) ([]byte, error) {
	b := cyclonedx.NewBOM()
	b.SpecVersion = cyclonedx.SpecVersion1_5
	b.JSONSchema = "http://cyclonedx.org/schema/bom-1.5.schema.json"
	b.SerialNumber = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://github.com/smartvillage/nabz/"+s.Commit+"/"+file)).URN()
	root := cyclonedx.Component{BOMRef: "pkg:golang/github.com/smartvillage/nabz@" + s.Commit + "#cmd/" + name, Type: cyclonedx.ComponentTypeApplication, Name: name, Version: s.Version,
		Licenses: &cyclonedx.Licenses{{License: &cyclonedx.License{ID: "Apache-2.0"}}}, PackageURL: "pkg:golang/github.com/smartvillage/nabz@" + s.Commit + "#cmd/" + name}
	b.Metadata = &cyclonedx.Metadata{Timestamp: s.Time.Format(time.RFC3339), Component: &root}
	components, refs := []cyclonedx.Component{}, []string{}
	for _, p := range parts {
		c := cyclonedx.Component{BOMRef: p.Purl, Type: cyclonedx.ComponentTypeLibrary, Name: p.Name, Version: p.Version, PackageURL: p.Purl, Licenses: licensed(p.Licence)}
		hash, err := hashed(p.Sum)
		if err != nil {
			return nil, fmt.Errorf("sum of %s: %w", p.Name, err)
		}
		c.Hashes = hash
		if strings.HasPrefix(p.Sum, "h1:") { // a hash of hashes, which no field of the format is for
			c.Properties = &[]cyclonedx.Property{{Name: "go:sum", Value: p.Sum}}
		}
		components, refs = append(components, c), append(refs, p.Purl)
	}
	b.Components = &components
	b.Dependencies = &[]cyclonedx.Dependency{{Ref: root.BOMRef, Dependencies: &refs}}
	var out bytes.Buffer
	if err := cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(b, cyclonedx.SpecVersion1_5); err != nil {
		return nil, fmt.Errorf("write the bill of materials: %w", err)
	}
	return out.Bytes(), nil
}

// licensed is an SPDX name, or an expression of several.
func licensed(id string) *cyclonedx.Licenses {
	if strings.Contains(id, " ") {
		return &cyclonedx.Licenses{{Expression: id}}
	}
	return &cyclonedx.Licenses{{License: &cyclonedx.License{ID: id}}}
}

// hashed is npm's integrity as a hash of the package file; Go's sums are none of a file.
func hashed(sum string) (*[]cyclonedx.Hash, error) {
	text, ok := strings.CutPrefix(sum, "sha512-")
	if !ok {
		return nil, nil
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	return &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA512, Value: hex.EncodeToString(raw)}}, nil
}
