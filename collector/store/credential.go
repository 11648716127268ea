package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/influxdata/influxdb-client-go/v2/domain"
)

// firstAdmin makes the admin of a 1.x that asks for passwords and has no user yet, by the name and password of p.admin: until there is one, such a server
// takes nothing but that. Any other server is left alone.
func (p *preparation) firstAdmin(ctx context.Context) error {
	name, password, ok := strings.Cut(p.admin, ":")
	if !ok || name == "" || password == "" {
		return nil // a token of 2.x
	}
	nobody, err := p.open("")
	if err != nil {
		return err
	}
	defer nobody.Close()
	if _, err = nobody.query(ctx, "", "SHOW DATABASES"); err == nil || !strings.Contains(err.Error(), "create admin user first") {
		return nil
	}
	if strings.ContainsAny(p.admin, " \t\r\n") {
		return fmt.Errorf("make InfluxDB's first admin, %q: its password holds a blank, with which InfluxDB 1.8 lets nobody in; choose another", name)
	}
	if _, err := nobody.query(ctx, "", "CREATE USER "+quoteName(name)+" WITH PASSWORD "+quoteText(password)+" WITH ALL PRIVILEGES"); err != nil {
		return fmt.Errorf("make InfluxDB's first admin, %q: %w", name, err)
	}
	p.tell("made user %q, InfluxDB's admin, with the password that was given", name)
	return nil
}

// quoteText is a string of InfluxQL.
func quoteText(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`, "\n", `\n`).Replace(s) + "'"
}

// user makes the user of a 1.x that may read and write the two databases, or gives it a new password.
func (p *preparation) user(ctx context.Context) (token string, err error) {
	name := strings.ReplaceAll(p.as.c.DetailBucket, ":", "_") + "_collector" // a colon ends the name in "user:password"
	series, err := p.as.query(ctx, "", "SHOW USERS")
	if err != nil {
		return "", err
	}
	password := secret()
	there := names(series)[name]
	q := "CREATE USER " + quoteName(name) + " WITH PASSWORD '" + password + "'"
	if there {
		if isAdmin(series, name) {
			return "", fmt.Errorf("user %q is there, and is an admin; take that from it (REVOKE ALL PRIVILEGES FROM %s), or drop it", name, quoteName(name))
		}
		q = "SET PASSWORD FOR " + quoteName(name) + " = '" + password + "'"
	}
	if _, err := p.as.query(ctx, "", q); err != nil {
		return "", err
	}
	if there {
		p.tell("gave user %q a new password, because InfluxDB tells nobody the one it had: a collector elsewhere that signs in so needs the new one too", name)
	} else {
		p.tell("made user %q", name)
	}
	for _, tier := range tiers() { // ALL on a database is to read and to write it
		if _, err := p.as.query(ctx, "", "GRANT ALL ON "+quoteName(p.as.buckets[tier])+" TO "+quoteName(name)); err != nil {
			return "", err
		}
	}
	p.tell("user %q may read and write %q and %q", name, p.as.c.DetailBucket, p.as.c.LedgerBucket)
	return name + ":" + password, nil
}

func isAdmin(users []Series, name string) bool {
	for _, one := range users {
		for _, row := range one.Values {
			if len(row) == 2 && row[0] == name && row[1] == true {
				return true
			}
		}
	}
	return false
}

// authorization finds or makes the API token of a 2.x that may read and write the two buckets.
func (p *preparation) authorization(ctx context.Context) (token string, err error) {
	var permissions []domain.Permission
	var org *string
	for _, tier := range tiers() {
		b, err := p.as.bucket(ctx, p.as.buckets[tier])
		if err != nil {
			return "", err
		}
		if b == nil || b.Id == nil || b.OrgID == nil {
			return "", fmt.Errorf("bucket %q is gone again", p.as.buckets[tier])
		}
		org = b.OrgID
		for _, action := range []domain.PermissionAction{domain.PermissionActionRead, domain.PermissionActionWrite} {
			permissions = append(permissions, domain.Permission{Action: action, Resource: domain.Resource{Type: domain.ResourceTypeBuckets, Id: b.Id, OrgID: b.OrgID}})
		}
	}
	description := fmt.Sprintf("nabz-collector: read and write %s and %s", p.as.c.DetailBucket, p.as.c.LedgerBucket)
	all, err := p.as.client.APIClient().GetAuthorizations(ctx, &domain.GetAuthorizationsParams{OrgID: org})
	if err != nil {
		return "", fmt.Errorf("list the API tokens: %w", err)
	}
	hidden := 0
	for _, a := range deref(all.Authorizations) {
		if deref(a.Description) != description || !same(deref(a.Permissions), permissions) || a.Status != nil && *a.Status != domain.AuthorizationUpdateRequestStatusActive {
			continue
		}
		if shown := deref(a.Token); shown != "" && p.works(ctx, shown) == nil {
			p.tell("found API token %q, made before", description)
			return shown, nil
		}
		hidden++
	}
	made, err := p.as.client.APIClient().PostAuthorizations(ctx, &domain.PostAuthorizationsAllParams{Body: domain.PostAuthorizationsJSONRequestBody{
		AuthorizationUpdateRequest: domain.AuthorizationUpdateRequest{Description: &description}, OrgID: org, Permissions: &permissions}})
	if err != nil {
		return "", err
	}
	if deref(made.Token) == "" {
		return "", errors.New("InfluxDB has made an API token and does not tell it")
	}
	p.tell("made API token %q", description)
	if hidden > 0 {
		p.tell("%d older of that name stay, which InfluxDB shows no more; delete them when no collector uses them", hidden)
	}
	return *made.Token, nil
}

// same tells whether a token has these permissions and no other.
func same(has, want []domain.Permission) bool {
	key := func(p domain.Permission) string {
		return fmt.Sprint(p.Action, p.Resource.Type, deref(p.Resource.Id), deref(p.Resource.OrgID))
	}
	left := map[string]bool{}
	for _, w := range want {
		left[key(w)] = true
	}
	for _, h := range has {
		if !left[key(h)] {
			return false
		}
		delete(left, key(h))
	}
	return len(left) == 0
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
