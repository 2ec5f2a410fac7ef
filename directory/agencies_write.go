package directory

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"commsd/directory/permission"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// AgencyRecord is an agency as those see it who look after it.
type AgencyRecord struct {
	ID         identity.AgencyID `json:"id"`
	Identifier string            `json:"identifier" doc:"electronic identifier, root first: G09, H26.05"`
	Aliases    []string          `json:"aliases" nullable:"false" doc:"the old form, leaf first: 000.00.00.G09"`
	Name       string            `json:"name"`
	NameEN     string            `json:"name_en"`
	ShortName  string            `json:"short_name"`
	Parent     identity.AgencyID `json:"parent_id" doc:"empty: none"`
	Domains    []string          `json:"domains" nullable:"false" doc:"mail domains, the main one first"`
	TimeZone   string            `json:"time_zone"`
	Version    int64             `json:"version" doc:"rises with each change; a change that names it is refused after another"`
}

// NewAgency is what CreateAgency makes an agency of.
type NewAgency struct {
	Identifier string            `json:"identifier" maxLength:"35" doc:"root first, at most 35 characters: G09, H26.05"`
	Aliases    []string          `json:"aliases,omitempty" maxItems:"20" doc:"the old form, leaf first: 000.00.00.G09"`
	Name       string            `json:"name" maxLength:"400"`
	NameEN     string            `json:"name_en,omitempty" maxLength:"400"`
	ShortName  string            `json:"short_name,omitempty" maxLength:"100"`
	Parent     identity.AgencyID `json:"parent_id,omitempty" doc:"the agency above; absent: none"`
	Domains    []string          `json:"domains,omitempty" maxItems:"50" doc:"mail domains"`
	TimeZone   string            `json:"time_zone,omitempty" maxLength:"64" doc:"absent: Asia/Ho_Chi_Minh"`
}

// AgencyChange is what UpdateAgency changes; what is nil stays.
type AgencyChange struct {
	Identifier *string            `json:"identifier,omitempty" maxLength:"35"`
	Aliases    *[]string          `json:"aliases,omitempty" maxItems:"20" doc:"all of them"`
	Name       *string            `json:"name,omitempty" maxLength:"400"`
	NameEN     *string            `json:"name_en,omitempty" maxLength:"400"`
	ShortName  *string            `json:"short_name,omitempty" maxLength:"100"`
	Parent     *identity.AgencyID `json:"parent_id,omitempty" doc:"empty: none"`
	Domains    *[]string          `json:"domains,omitempty" maxItems:"50" doc:"all of them; one that still has addresses cannot go"`
	TimeZone   *string            `json:"time_zone,omitempty" maxLength:"64"`
	Version    int64              `json:"version,omitempty" doc:"what the change was made on; refused when it has changed since"`
}

// The forms of an agency's electronic identifier (mã định danh điện tử). The
// first is that of QĐ 20/2020/QĐ-TTg, root first and at most 35 characters; the
// other is that of QCVN 102:2016/BTTTT, leaf first.
var (
	identifierForm = regexp.MustCompile(`^[A-Z][0-9]{2}(\.[0-9A-Z]{1,10})*$`)
	aliasForm      = regexp.MustCompile(`^[0-9]{3}\.[0-9]{2}\.[0-9]{2}\.[A-Z][0-9]{2}$`)
)

const (
	maxIdentifier = 35
	maxName       = 300 // characters of the name of an agency or a unit
	maxShortName  = 50
)

func parseIdentifier(text string) (string, error) {
	text = strings.ToUpper(normalText(text))
	if len(text) > maxIdentifier || !identifierForm.MatchString(text) {
		return "", errcode.New(errcode.Invalid, "the identifier %q is none: write it root first with dots, at most %d characters, as G09 or H26.05", clip(text, 100), maxIdentifier).Because("identifier_malformed")
	}
	return text, nil
}

func parseAliases(texts []string) ([]string, error) {
	out := []string{}
	for _, text := range texts {
		alias := strings.ToUpper(normalText(text))
		if !aliasForm.MatchString(alias) {
			return nil, errcode.New(errcode.Invalid, "the former identifier %q is none: write it as 000.00.00.G09", clip(alias, 100)).Because("alias_malformed")
		}
		if !slices.Contains(out, alias) {
			out = append(out, alias)
		}
	}
	return out, nil
}

// parseDomain brings a mail domain to the form that mail compares: lower case
// A-labels, at least two of them.
func parseDomain(text string) (string, error) {
	domain, err := idna.Lookup.ToASCII(strings.TrimSuffix(normalAddress(text), "."))
	bad := err != nil || len(domain) > 253 || strings.Count(domain, ".") < 1
	for label := range strings.SplitSeq(domain, ".") {
		bad = bad || label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != ""
	}
	if bad {
		return "", errcode.New(errcode.Invalid, "%q is no mail domain: write it as noivu.gov.vn", clip(text, 100)).Because("domain_malformed")
	}
	return domain, nil
}

func parseDomains(texts []string) ([]string, error) {
	out := []string{}
	for _, text := range texts {
		domain, err := parseDomain(text)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, domain) {
			out = append(out, domain)
		}
	}
	return out, nil
}

func parseTimeZone(name string) (string, error) {
	if name == "" {
		return "Asia/Ho_Chi_Minh", nil
	}
	if _, err := time.LoadLocation(name); err != nil || name == "Local" {
		return "", errcode.New(errcode.Invalid, "there is no time zone %q: write one as Asia/Ho_Chi_Minh", clip(name, 100)).Because("time_zone_unknown")
	}
	return name, nil
}

// check brings the record to its normal form, and refuses what it may not be.
func (r *AgencyRecord) check() error {
	var err error
	if r.Identifier, err = parseIdentifier(r.Identifier); err != nil {
		return err
	}
	if r.Aliases, err = parseAliases(r.Aliases); err != nil {
		return err
	}
	if r.Name, err = wanted("the name of the agency", r.Name, maxName); err != nil {
		return err
	}
	if r.NameEN, err = optional("the English name of the agency", r.NameEN, maxName); err != nil {
		return err
	}
	if r.ShortName, err = optional("the short name of the agency", r.ShortName, maxShortName); err != nil {
		return err
	}
	if r.Domains, err = parseDomains(r.Domains); err != nil {
		return err
	}
	r.TimeZone, err = parseTimeZone(r.TimeZone)
	return err
}

// CreateAgency adds an agency. A system administrator of the whole installation
// may. An identifier, former identifier or mail domain that another agency has
// is errcode.Conflict.
func (s *Service) CreateAgency(ctx context.Context, actor identity.Actor, n NewAgency) (AgencyRecord, error) {
	r := AgencyRecord{Identifier: n.Identifier, Aliases: n.Aliases, Name: n.Name, NameEN: n.NameEN, ShortName: n.ShortName,
		Parent: n.Parent, Domains: n.Domains, TimeZone: n.TimeZone, Version: 1}
	if err := r.check(); err != nil {
		return AgencyRecord{}, err
	}
	id, err := newID()
	if err != nil {
		return AgencyRecord{}, err
	}
	r.ID = identity.AgencyID(id)
	err = s.act(ctx, actor, deed{
		action: permission.AgencyCreate, made: &id,
		objects: on(identity.Object{ObjectRef: identity.ObjectRef{Kind: "agency"}}),
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			if err := checkParentAgency(ctx, tx, r.ID, r.Parent); err != nil {
				return nil, err
			}
			if err := insertAgencyRecord(ctx, tx, r, s.now()); err != nil {
				return nil, err
			}
			return map[string]string{"identifier": r.Identifier, "name": r.Name}, nil
		},
	})
	if err != nil {
		return AgencyRecord{}, err
	}
	return r, nil
}

// Agency returns an agency; errcode.NotFound when there is none.
func (s *Service) Agency(ctx context.Context, id identity.AgencyID) (AgencyRecord, error) {
	var r AgencyRecord
	err := s.read(ctx, "agency", func(ctx context.Context, tx *sqldb.Tx) (err error) {
		r, err = readAgency(ctx, tx, id, "")
		return err
	})
	return r, err
}

// ResolveAgency returns the agency of an identifier, of either form;
// errcode.NotFound when there is none.
func (s *Service) ResolveAgency(ctx context.Context, identifier string) (AgencyRecord, error) {
	text := strings.ToUpper(normalText(clip(identifier, 100)))
	var r AgencyRecord
	err := s.read(ctx, "resolve an agency", func(ctx context.Context, tx *sqldb.Tx) error {
		id, err := agencyOfIdentifier(ctx, tx, text)
		if err != nil {
			return err
		}
		r, err = readAgency(ctx, tx, id, "")
		return err
	})
	return r, err
}

// UpdateAgency changes an agency. Its administrators may change how it is
// called; identifiers, the agency above and mail domains are for administrators
// of the whole installation, because by them an agency would take what belongs
// to another.
func (s *Service) UpdateAgency(ctx context.Context, actor identity.Actor, id identity.AgencyID, c AgencyChange) (AgencyRecord, error) {
	var out AgencyRecord
	err := s.act(ctx, actor, deed{
		action: permission.AgencyUpdate,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			o := identity.Object{ObjectRef: identity.ObjectRef{Kind: "agency", ID: string(id)}, Agency: id}
			old, err := readAgency(ctx, tx, id, "")
			if err != nil {
				return nil, err
			}
			next := c.over(old)
			if err := next.check(); err != nil {
				return nil, err
			}
			if next.Identifier != old.Identifier || next.Parent != old.Parent ||
				!slices.Equal(next.Aliases, old.Aliases) || !slices.Equal(next.Domains, old.Domains) {
				o.Agency = "" // of the whole installation
			}
			return []identity.Object{o}, nil
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			old, err := readAgency(ctx, tx, id, tx.ForUpdate())
			if err != nil {
				return nil, err
			}
			if err := sameVersion("the agency", c.Version, old.Version); err != nil {
				return nil, err
			}
			out = c.over(old)
			if err := out.check(); err != nil {
				return nil, err
			}
			out.Version++
			if err := checkParentAgency(ctx, tx, id, out.Parent); err != nil {
				return nil, err
			}
			for _, domain := range old.Domains {
				if !slices.Contains(out.Domains, domain) {
					if err := domainIsFree(ctx, tx, domain); err != nil {
						return nil, err
					}
				}
			}
			detail := map[string]string{}
			noteChange(detail, "identifier", old.Identifier, out.Identifier)
			noteChange(detail, "aliases", strings.Join(old.Aliases, " "), strings.Join(out.Aliases, " "))
			noteChange(detail, "name", old.Name, out.Name)
			noteChange(detail, "name_en", old.NameEN, out.NameEN)
			noteChange(detail, "short_name", old.ShortName, out.ShortName)
			noteChange(detail, "parent", string(old.Parent), string(out.Parent))
			noteChange(detail, "domains", strings.Join(old.Domains, " "), strings.Join(out.Domains, " "))
			noteChange(detail, "time_zone", old.TimeZone, out.TimeZone)
			return detail, updateAgency(ctx, tx, out)
		},
	})
	if err != nil {
		return AgencyRecord{}, err
	}
	return out, nil
}

// over returns r with the change made.
func (c AgencyChange) over(r AgencyRecord) AgencyRecord {
	set(&r.Identifier, c.Identifier)
	set(&r.Aliases, c.Aliases)
	set(&r.Name, c.Name)
	set(&r.NameEN, c.NameEN)
	set(&r.ShortName, c.ShortName)
	set(&r.Parent, c.Parent)
	set(&r.Domains, c.Domains)
	set(&r.TimeZone, c.TimeZone)
	return r
}

// set is one optional change.
func set[T any](target, to *T) {
	if to != nil {
		*target = *to
	}
}

// noteChange tells the log what was changed to what.
func noteChange(detail map[string]string, what, from, to string) {
	if from != to {
		detail[what] = fmt.Sprintf("%s → %s", from, to)
	}
}
