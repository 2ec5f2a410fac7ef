package directory

import (
	"context"
	"slices"
	"strings"

	"commsd/directory/permission"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/fold"
	"commsd/internal/sqldb"
)

// PersonRecord is a person as those see one who look after them.
type PersonRecord struct {
	ID          identity.PersonID `json:"id"`
	Family      string            `json:"family_name" doc:"họ"`
	Middle      string            `json:"middle_name" doc:"đệm"`
	Given       string            `json:"given_name" doc:"tên"`
	Name        string            `json:"name" doc:"Họ đệm tên"`
	Address     string            `json:"address" doc:"main mail address; empty without a mailbox"`
	Aliases     []string          `json:"aliases" nullable:"false" doc:"further mail addresses"`
	Phone       string            `json:"phone" doc:"of the desk"`
	Mobile      string            `json:"mobile"`
	Office      string            `json:"office" doc:"room and building"`
	ExternalKey string            `json:"external_key" doc:"stable key of a personnel system; empty: none"`
	HasAccount  bool              `json:"has_account"`
	Disabled    bool              `json:"disabled" doc:"the account may not sign in"`
	Version     int64             `json:"version" doc:"rises with each change; a change that names it is refused after another"`
}

// NewPerson is what CreatePerson makes a person of.
type NewPerson struct {
	Family      string       `json:"family_name,omitempty" maxLength:"100" doc:"họ"`
	Middle      string       `json:"middle_name,omitempty" maxLength:"100" doc:"đệm"`
	Given       string       `json:"given_name" maxLength:"100" doc:"tên"`
	Address     string       `json:"address,omitempty" maxLength:"254" doc:"main mail address, in a domain of the agency; absent: no mailbox"`
	Aliases     []string     `json:"aliases,omitempty" maxItems:"50" doc:"further mail addresses"`
	Phone       string       `json:"phone,omitempty" maxLength:"50"`
	Mobile      string       `json:"mobile,omitempty" maxLength:"50"`
	Office      string       `json:"office,omitempty" maxLength:"200"`
	ExternalKey string       `json:"external_key,omitempty" maxLength:"100"`
	Position    *NewPosition `json:"position,omitempty" doc:"the first position; only a system administrator of the whole installation makes people without one"`
}

// PersonChange is what UpdatePerson changes; what is nil stays.
type PersonChange struct {
	Family      *string   `json:"family_name,omitempty" maxLength:"100"`
	Middle      *string   `json:"middle_name,omitempty" maxLength:"100"`
	Given       *string   `json:"given_name,omitempty" maxLength:"100"`
	Address     *string   `json:"address,omitempty" maxLength:"254" doc:"the main address, which is also the login; the former one is kept as a further address"`
	Aliases     *[]string `json:"aliases,omitempty" maxItems:"50" doc:"all of them"`
	Phone       *string   `json:"phone,omitempty" maxLength:"50"`
	Mobile      *string   `json:"mobile,omitempty" maxLength:"50"`
	Office      *string   `json:"office,omitempty" maxLength:"200"`
	ExternalKey *string   `json:"external_key,omitempty" maxLength:"100" doc:"empty: none"`
	Version     int64     `json:"version,omitempty" doc:"what the change was made on; refused when it has changed since"`
}

const (
	maxNamePart    = 80
	maxPhone       = 40
	maxOffice      = 150
	maxExternalKey = 80
	maxAddresses   = 50 // of one person
)

// parseAddress brings a mail address to the form it is compared in, and returns
// its domain.
func parseAddress(text string) (address, domain string, err error) {
	local, rest, ok := strings.Cut(normalAddress(text), "@")
	bad := !ok || local == "" || len(local) > 64 || strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") ||
		strings.Trim(local, "abcdefghijklmnopqrstuvwxyz0123456789.-_+'") != ""
	if !bad {
		domain, err = parseDomain(rest)
		bad = err != nil || len(local)+1+len(domain) > 254
	}
	if bad {
		return "", "", errcode.New(errcode.Invalid, "%q is no mail address: write it as an.nguyen@noivu.gov.vn, without marks and spaces", clip(text, 100)).Because("address_malformed")
	}
	return local + "@" + domain, domain, nil
}

// check brings the record to its normal form, and refuses what it may not be.
func (r *PersonRecord) check() error {
	var err error
	if r.Family, err = optional("the family name (họ)", r.Family, maxNamePart); err != nil {
		return err
	}
	if r.Middle, err = optional("the middle name (đệm)", r.Middle, maxNamePart); err != nil {
		return err
	}
	if r.Given, err = wanted("the given name (tên)", r.Given, maxNamePart); err != nil {
		return err
	}
	if r.Phone, err = optional("the phone number", r.Phone, maxPhone); err != nil {
		return err
	}
	if r.Mobile, err = optional("the mobile number", r.Mobile, maxPhone); err != nil {
		return err
	}
	if r.Office, err = optional("the office", r.Office, maxOffice); err != nil {
		return err
	}
	if r.ExternalKey, err = optional("the key of the personnel system", r.ExternalKey, maxExternalKey); err != nil {
		return err
	}
	r.Name = r.parts().display()
	if fold.Mixed(r.Family + r.Middle + r.Given) { // a whole part in another alphabet passes above
		return errcode.New(errcode.Invalid, "the name has letters of two alphabets that look alike: type it anew")
	}
	return r.checkAddresses()
}

func (r *PersonRecord) checkAddresses() error {
	var err error
	if r.Address != "" {
		if r.Address, _, err = parseAddress(r.Address); err != nil {
			return err
		}
	}
	if r.Address == "" && len(r.Aliases) > 0 {
		return errcode.New(errcode.Invalid, "there are further addresses and no main one: choose the main address").Because("address_main_missing")
	}
	aliases := []string{}
	for _, alias := range r.Aliases {
		if alias, _, err = parseAddress(alias); err != nil {
			return err
		}
		if alias != r.Address && !slices.Contains(aliases, alias) {
			aliases = append(aliases, alias)
		}
	}
	if len(aliases) >= maxAddresses {
		return errcode.New(errcode.Invalid, "a person has at most %d addresses", maxAddresses)
	}
	slices.Sort(aliases)
	r.Aliases = aliases
	return nil
}

func (r PersonRecord) parts() personName {
	return personName{Family: r.Family, Middle: r.Middle, Given: r.Given}
}

func (r PersonRecord) addresses() []string {
	if r.Address == "" {
		return nil
	}
	return append([]string{r.Address}, r.Aliases...)
}

// mayAddress refuses an address whose domain is not one that actor gives
// addresses in: of the agency at home, or of one that actor administers.
func (s *Service) mayAddress(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, home identity.AgencyID, address string) error {
	_, domain, err := parseAddress(address)
	if err != nil {
		return err
	}
	owner, err := agencyOfDomain(ctx, tx, domain)
	if err != nil {
		return err
	}
	switch {
	case owner == "" && domain != s.cfg.Domain:
		return errcode.New(errcode.Invalid, "mail for %s is not received here: choose a mail domain of an agency, or give an agency this domain first (on the command line, commsd agency add --domain)", domain).Because("domain_not_here")
	case owner != "" && owner == home, s.Check(actor, permission.PersonWrite, identity.Object{Agency: owner}).Allowed:
		return nil
	}
	return errcode.New(errcode.Forbidden, "the mail domain %s belongs to another agency: choose one of this agency", domain).Because("domain_elsewhere")
}

// CreatePerson adds a person with their first position. Administrators of its
// unit may; only those of the whole installation add people without one.
func (s *Service) CreatePerson(ctx context.Context, actor identity.Actor, n NewPerson) (PersonRecord, error) {
	r := PersonRecord{Family: n.Family, Middle: n.Middle, Given: n.Given, Address: n.Address, Aliases: n.Aliases,
		Phone: n.Phone, Mobile: n.Mobile, Office: n.Office, ExternalKey: n.ExternalKey, Version: 1}
	if err := r.check(); err != nil {
		return PersonRecord{}, err
	}
	made, err := newID()
	if err != nil {
		return PersonRecord{}, err
	}
	r.ID = identity.PersonID(made)
	var first PositionRecord
	if n.Position != nil {
		if first, err = s.newPosition(r.ID, *n.Position, s.now()); err != nil {
			return PersonRecord{}, err
		}
	}
	err = s.act(ctx, actor, deed{
		action: permission.PersonWrite, made: &made,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			o := identity.Object{ObjectRef: identity.ObjectRef{Kind: "person"}}
			if n.Position != nil {
				unit, err := readUnit(ctx, tx, first.UnitID)
				if err != nil {
					return nil, err
				}
				o.Agency, o.Path = unit.Agency, unit.Path
			}
			return []identity.Object{o}, nil
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			if err := insertPersonRecord(ctx, tx, r, s.now()); err != nil {
				return nil, err
			}
			detail := map[string]string{"name": r.Name}
			if n.Position != nil {
				if err := s.beginPosition(ctx, tx, &first); err != nil {
					return nil, err
				}
				detail["position"], detail["title"], detail["unit"] = string(first.ID), first.Title, string(first.UnitID)
			}
			for _, address := range r.addresses() {
				if err := s.mayAddress(ctx, tx, actor, first.Agency, address); err != nil {
					return nil, err
				}
			}
			if r.Address != "" {
				detail["address"] = r.Address
			}
			if err := writeAddresses(ctx, tx, r); err != nil {
				return nil, err
			}
			return detail, indexPerson(ctx, tx, r.ID, s.now())
		},
	})
	if err != nil {
		return PersonRecord{}, err
	}
	return r, nil
}

// PersonRecord returns a person as administrators change one. They may read it,
// and the person.
func (s *Service) PersonRecord(ctx context.Context, actor identity.Actor, id identity.PersonID) (PersonRecord, error) {
	var r PersonRecord
	var o identity.Object
	err := s.read(ctx, "person", func(ctx context.Context, tx *sqldb.Tx) (err error) {
		if r, err = readPerson(ctx, tx, id); err != nil {
			return err
		}
		o, _, err = personHome(ctx, tx, id, s.now())
		return err
	})
	if err != nil {
		return PersonRecord{}, err
	}
	o.TargetGrants = nil // reading touches nobody
	if actor.Person == id {
		o.Relations = []identity.Relation{identity.RelationSelf}
	}
	if err := s.permit(ctx, actor, permission.PersonProfile, o); err != nil {
		return PersonRecord{}, err
	}
	return r, nil
}

// UpdatePerson changes a person. Administrators of the person's unit may, unless
// the person administers more than they do. The main address is also the login;
// the former one stays a further address, so that letters still arrive.
func (s *Service) UpdatePerson(ctx context.Context, actor identity.Actor, id identity.PersonID, c PersonChange) (PersonRecord, error) {
	var out PersonRecord
	var home identity.Object
	err := s.act(ctx, actor, deed{
		action: permission.PersonWrite,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			err := personExists(ctx, tx, id, "")
			if err == nil {
				home, _, err = personHome(ctx, tx, id, s.now())
			}
			return []identity.Object{home}, err
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			if err := personExists(ctx, tx, id, tx.ForUpdate()); err != nil {
				return nil, err
			}
			old, err := readPerson(ctx, tx, id)
			if err != nil {
				return nil, err
			}
			if err := sameVersion("the person", c.Version, old.Version); err != nil {
				return nil, err
			}
			out = c.over(old)
			if err := out.check(); err != nil {
				return nil, err
			}
			out.Version++
			if out.Address == "" && old.HasAccount {
				return nil, errcode.New(errcode.Invalid, "the main address is also the login of this person: change it instead of taking it away").Because("address_is_login")
			}
			for _, address := range out.addresses() {
				if slices.Contains(old.addresses(), address) {
					continue
				}
				if err := s.mayAddress(ctx, tx, actor, home.Agency, address); err != nil {
					return nil, err
				}
			}
			return c.detail(old, out), s.writePerson(ctx, tx, old, out)
		},
	})
	if err != nil {
		return PersonRecord{}, err
	}
	return out, nil
}

// over returns r with the change made.
func (c PersonChange) over(r PersonRecord) PersonRecord {
	former := r.Address
	set(&r.Family, c.Family)
	set(&r.Middle, c.Middle)
	set(&r.Given, c.Given)
	set(&r.Address, c.Address)
	set(&r.Phone, c.Phone)
	set(&r.Mobile, c.Mobile)
	set(&r.Office, c.Office)
	set(&r.ExternalKey, c.ExternalKey)
	switch {
	case c.Aliases != nil: // who names all of them means it
		r.Aliases = *c.Aliases
	case c.Address != nil && *c.Address != "" && former != "":
		r.Aliases = append(slices.Clone(r.Aliases), former)
	}
	return r
}

// detail tells the log what was changed; numbers are not for it.
func (PersonChange) detail(old, out PersonRecord) map[string]string {
	d := map[string]string{}
	noteChange(d, "name", old.Name, out.Name)
	noteChange(d, "address", old.Address, out.Address)
	noteChange(d, "aliases", strings.Join(old.Aliases, " "), strings.Join(out.Aliases, " "))
	noteChange(d, "external_key", old.ExternalKey, out.ExternalKey)
	for what, changed := range map[string]bool{"phone": old.Phone != out.Phone, "mobile": old.Mobile != out.Mobile, "office": old.Office != out.Office} {
		if changed {
			d[what] = "changed"
		}
	}
	return d
}

// writePerson writes what a person has become, the login included.
func (s *Service) writePerson(ctx context.Context, tx *sqldb.Tx, old, r PersonRecord) error {
	if err := updatePerson(ctx, tx, r, s.now()); err != nil {
		return err
	}
	if !slices.Equal(old.addresses(), r.addresses()) {
		if err := deleteAddresses(ctx, tx, r.ID); err != nil {
			return err
		}
		if err := writeAddresses(ctx, tx, r); err != nil {
			return err
		}
	}
	if old.HasAccount && old.Address != r.Address {
		if err := updateLogin(ctx, tx, r.ID, r.Address); err != nil {
			return err
		}
	}
	if err := indexPerson(ctx, tx, r.ID, s.now()); err != nil {
		return err
	}
	return s.changedPerson(ctx, tx, r.ID)
}
