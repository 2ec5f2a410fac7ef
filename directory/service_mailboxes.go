package directory

import (
	"context"
	"slices"

	"commsd/directory/permission"
	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// ServiceMailbox is a mailbox of a unit (hộp thư đơn vị), not of a person.
type ServiceMailbox struct {
	ID      string               `json:"id"`
	Agency  identity.AgencyID    `json:"agency_id"`
	UnitID  identity.UnitID      `json:"unit_id" doc:"that it belongs to"`
	Unit    string               `json:"unit"`
	Address string               `json:"address" doc:"reserved for it; it receives no mail yet"`
	Name    string               `json:"name"`
	NameEN  string               `json:"name_en"`
	Users   []ServiceMailboxUser `json:"users" nullable:"false" doc:"who may use it"`
	MayRead bool                 `json:"may_read" doc:"the reader may read it, in the active position"`
	MaySend bool                 `json:"may_send" doc:"the reader may write in its name, in the active position"`
	Version int64                `json:"version" doc:"rises with each change; a change that names it is refused after another"`
}

// ServiceMailboxUser is a post or a group whose people may use a service
// mailbox.
type ServiceMailboxUser struct {
	ID       string              `json:"id"`
	Position identity.PositionID `json:"position_id"`
	Group    identity.GroupID    `json:"group_id"`
	Name     string              `json:"name" doc:"of the person in the post with its title, or of the group"`
	MayRead  bool                `json:"may_read"`
	MaySend  bool                `json:"may_send" doc:"in the mailbox's name"`

	person identity.PersonID // who holds the post
	title  string
}

// NewServiceMailbox is what CreateServiceMailbox makes a mailbox of.
type NewServiceMailbox struct {
	UnitID  identity.UnitID `json:"unit_id"`
	Address string          `json:"address" maxLength:"254" doc:"in a mail domain of the unit's agency"`
	Name    string          `json:"name" maxLength:"200"`
	NameEN  string          `json:"name_en,omitempty" maxLength:"200"`
}

// ServiceMailboxChange is what UpdateServiceMailbox changes; what is nil stays.
type ServiceMailboxChange struct {
	UnitID  *identity.UnitID `json:"unit_id,omitempty" doc:"another unit of the same agency"`
	Name    *string          `json:"name,omitempty" maxLength:"200"`
	NameEN  *string          `json:"name_en,omitempty" maxLength:"200"`
	Version int64            `json:"version,omitempty" doc:"what the change was made on; refused when it has changed since"`
}

// NewServiceMailboxUser names a post or a group, and what it may.
type NewServiceMailboxUser struct {
	Position identity.PositionID `json:"position_id,omitempty"`
	Group    identity.GroupID    `json:"group_id,omitempty" doc:"instead of position_id"`
	MayRead  bool                `json:"may_read"`
	MaySend  bool                `json:"may_send"`
}

const maxMailboxUsers = 200

func (r *ServiceMailbox) check() error {
	var err error
	if r.Name, err = wanted("the name of the mailbox", r.Name, maxName); err != nil {
		return err
	}
	if r.NameEN, err = optional("the English name of the mailbox", r.NameEN, maxName); err != nil {
		return err
	}
	r.Address, _, err = parseAddress(r.Address)
	return err
}

// mailboxPlace is a mailbox with what a permission is decided on.
type mailboxPlace struct {
	ServiceMailbox
	path string // of its unit
}

func (m mailboxPlace) object() identity.Object {
	return identity.Object{ObjectRef: identity.ObjectRef{Kind: "service_mailbox", ID: m.ID}, Agency: m.Agency, Path: m.path}
}

// ServiceMailboxes lists the mailboxes of an agency's units, the actor's agency
// when it is empty, each with what the actor may do with it.
func (s *Service) ServiceMailboxes(ctx context.Context, actor identity.Actor, agency identity.AgencyID) ([]ServiceMailbox, error) {
	if agency == "" {
		agency = actor.Agency
	}
	out := []ServiceMailbox{}
	err := s.read(ctx, "service mailboxes", func(ctx context.Context, tx *sqldb.Tx) error {
		found, err := readMailboxes(ctx, tx, agency, "", s.now())
		if err != nil {
			return err
		}
		out, err = s.usable(ctx, tx, actor, found)
		return err
	})
	return out, err
}

// ServiceMailbox returns a mailbox with what the actor may do with it;
// errcode.NotFound when there is none.
func (s *Service) ServiceMailbox(ctx context.Context, actor identity.Actor, id string) (ServiceMailbox, error) {
	var out ServiceMailbox
	err := s.read(ctx, "service mailbox", func(ctx context.Context, tx *sqldb.Tx) (err error) {
		out, err = s.mailboxFor(ctx, tx, actor, id)
		return err
	})
	return out, err
}

func (s *Service) mailboxFor(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, id string) (ServiceMailbox, error) {
	m, err := readMailbox(ctx, tx, id, s.now())
	if err != nil {
		return ServiceMailbox{}, err
	}
	all, err := s.usable(ctx, tx, actor, []mailboxPlace{m})
	if err != nil {
		return ServiceMailbox{}, err
	}
	return all[0], nil
}

// usable fills in what actor, in the active position, may do with mailboxes. A
// lent position opens them only when mail was lent.
func (s *Service) usable(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, mailboxes []mailboxPlace) ([]ServiceMailbox, error) {
	lent := actor.Delegation == "" || slices.Contains(actor.Scopes, identity.ScopeMail)
	groups := map[identity.GroupID]bool{} // that were looked at: actor is in it
	sights, err := s.mailboxSights(ctx, tx, actor, mailboxes)
	if err != nil {
		return nil, err
	}
	out := make([]ServiceMailbox, 0, len(mailboxes))
	for _, m := range mailboxes {
		for _, u := range m.Users {
			in := u.Position != "" && u.Position == actor.Position
			if u.Group != "" {
				var known bool
				if in, known = groups[u.Group]; !known {
					if in, err = inGroup(ctx, tx, actor, u.Group, s.now()); err != nil {
						return nil, err
					}
					groups[u.Group] = in
				}
			}
			m.MayRead = m.MayRead || in && lent && u.MayRead
			m.MaySend = m.MaySend || in && lent && u.MaySend
		}
		m.Users = slices.DeleteFunc(m.Users, func(u ServiceMailboxUser) bool {
			return u.Position != "" && !sights[u.person].Sees(visibility.FieldEntry)
		})
		for i, u := range m.Users {
			if u.Position != "" && sights[u.person].Sees(visibility.FieldTitle) {
				m.Users[i].Name += " (" + u.title + ")"
			}
		}
		out = append(out, m.ServiceMailbox)
	}
	return out, nil
}

// mailboxSights returns what actor sees of those whose posts mailboxes are open
// to: whom somebody does not see stands in no list of theirs.
func (s *Service) mailboxSights(ctx context.Context, tx *sqldb.Tx, actor identity.Actor, mailboxes []mailboxPlace) (map[identity.PersonID]visibility.Sight, error) {
	var ids []identity.PersonID
	for _, m := range mailboxes {
		for _, u := range m.Users {
			if u.person != "" {
				ids = append(ids, u.person)
			}
		}
	}
	slices.Sort(ids)
	return s.sights(ctx, tx, actor, slices.Compact(ids))
}

// CreateServiceMailbox adds a mailbox of a unit and reserves its address.
// Administrators of the unit may. An address that a person or another mailbox
// has is errcode.Conflict.
func (s *Service) CreateServiceMailbox(ctx context.Context, actor identity.Actor, n NewServiceMailbox) (ServiceMailbox, error) {
	r := ServiceMailbox{UnitID: n.UnitID, Address: n.Address, Name: n.Name, NameEN: n.NameEN, Users: []ServiceMailboxUser{}, Version: 1}
	if err := r.check(); err != nil {
		return ServiceMailbox{}, err
	}
	made, err := newID()
	if err != nil {
		return ServiceMailbox{}, err
	}
	r.ID = made
	err = s.act(ctx, actor, deed{
		action: permission.MailboxWrite, made: &made,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			unit, err := readUnit(ctx, tx, n.UnitID)
			return []identity.Object{{ObjectRef: identity.ObjectRef{Kind: "service_mailbox"}, Agency: unit.Agency, Path: unit.Path}}, err
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			unit, err := lockedUnit(ctx, tx, n.UnitID)
			if err != nil {
				return nil, err
			}
			r.Agency, r.Unit = unit.Agency, unit.Name
			if err := s.mayAddress(ctx, tx, actor, r.Agency, r.Address); err != nil {
				return nil, err
			}
			return map[string]string{"address": r.Address, "unit": string(r.UnitID)}, insertMailbox(ctx, tx, r, s.now())
		},
	})
	if err != nil {
		return ServiceMailbox{}, err
	}
	return r, nil
}

// mailboxDeed is an act on a mailbox that is there. It answers what the mailbox
// has become.
func (s *Service) mailboxDeed(ctx context.Context, actor identity.Actor, action identity.Action, id string, to *identity.UnitID,
	do func(ctx context.Context, tx *sqldb.Tx, m ServiceMailbox) (detail map[string]string, gone bool, err error)) (ServiceMailbox, error) {
	var out ServiceMailbox
	err := s.act(ctx, actor, deed{
		action: action,
		objects: func(ctx context.Context, tx *sqldb.Tx) ([]identity.Object, error) {
			m, err := readMailbox(ctx, tx, id, s.now())
			if err != nil {
				return nil, err
			}
			return otherUnit(ctx, tx, m.object(), m.UnitID, to)
		},
		do: func(ctx context.Context, tx *sqldb.Tx) (map[string]string, error) {
			if err := lockMailbox(ctx, tx, id); err != nil {
				return nil, err
			}
			m, err := readMailbox(ctx, tx, id, s.now())
			if err != nil {
				return nil, err
			}
			detail, gone, err := do(ctx, tx, m.ServiceMailbox)
			if err != nil || gone {
				return detail, err
			}
			out, err = s.mailboxFor(ctx, tx, actor, id)
			return detail, err
		},
	})
	if err != nil {
		return ServiceMailbox{}, err
	}
	return out, nil
}

// UpdateServiceMailbox changes a mailbox; administrators of its unit may, and of
// the one it is given to. Its address stays: letters know it.
func (s *Service) UpdateServiceMailbox(ctx context.Context, actor identity.Actor, id string, c ServiceMailboxChange) (ServiceMailbox, error) {
	return s.mailboxDeed(ctx, actor, permission.MailboxWrite, id, c.UnitID, func(ctx context.Context, tx *sqldb.Tx, m ServiceMailbox) (map[string]string, bool, error) {
		if err := sameVersion("the mailbox", c.Version, m.Version); err != nil {
			return nil, false, err
		}
		r := m
		set(&r.UnitID, c.UnitID)
		set(&r.Name, c.Name)
		set(&r.NameEN, c.NameEN)
		if err := r.check(); err != nil {
			return nil, false, err
		}
		if r.UnitID != m.UnitID {
			if err := lockUnit(ctx, tx, r.UnitID); err != nil {
				return nil, false, err
			}
		}
		detail := map[string]string{"address": m.Address}
		noteChange(detail, "name", m.Name, r.Name)
		noteChange(detail, "unit", string(m.UnitID), string(r.UnitID))
		return detail, false, updateMailbox(ctx, tx, r)
	})
}

// DeleteServiceMailbox deletes a mailbox and frees its address.
func (s *Service) DeleteServiceMailbox(ctx context.Context, actor identity.Actor, id string) error {
	_, err := s.mailboxDeed(ctx, actor, permission.MailboxRemove, id, nil, func(ctx context.Context, tx *sqldb.Tx, m ServiceMailbox) (map[string]string, bool, error) {
		return map[string]string{"deleted": m.Address}, true, deleteMailbox(ctx, tx, id)
	})
	return err
}

// AddServiceMailboxUser opens a mailbox to a post or a group of its agency.
// Naming one again sets what it may.
func (s *Service) AddServiceMailboxUser(ctx context.Context, actor identity.Actor, id string, n NewServiceMailboxUser) (ServiceMailbox, error) {
	switch {
	case (n.Position == "") == (n.Group == ""):
		return ServiceMailbox{}, errcode.New(errcode.Invalid, "name a position or a group, one of them")
	case !n.MayRead && !n.MaySend:
		return ServiceMailbox{}, errcode.New(errcode.Invalid, "say what it may: read, send or both")
	}
	return s.mailboxDeed(ctx, actor, permission.MailboxWrite, id, nil, func(ctx context.Context, tx *sqldb.Tx, m ServiceMailbox) (map[string]string, bool, error) {
		var agency identity.AgencyID
		if n.Position != "" {
			p, err := readHeldPosition(ctx, tx, n.Position, s.now())
			if err != nil {
				return nil, false, err
			}
			agency = p.Agency
		} else {
			if err := lockGroup(ctx, tx, n.Group); err != nil {
				return nil, false, err
			}
			g, err := readGroup(ctx, tx, n.Group)
			if err != nil {
				return nil, false, err
			}
			agency = g.Agency
		}
		if agency != m.Agency {
			return nil, false, errcode.New(errcode.Invalid, "a mailbox is opened to its own agency: choose a position or a group of it").Because("mailbox_elsewhere")
		}
		if len(m.Users) >= maxMailboxUsers {
			return nil, false, errcode.New(errcode.Invalid, "a mailbox is open to at most %d positions and groups: make one group of them", maxMailboxUsers)
		}
		detail := map[string]string{"address": m.Address, "position": string(n.Position), "group": string(n.Group), "may": mailboxRights(n.MayRead, n.MaySend)}
		return detail, false, putMailboxUser(ctx, tx, id, n)
	})
}

func mailboxRights(read, send bool) string {
	switch {
	case read && send:
		return "read, send"
	case send:
		return "send"
	}
	return "read"
}

// RemoveServiceMailboxUser closes a mailbox to a post or a group.
func (s *Service) RemoveServiceMailboxUser(ctx context.Context, actor identity.Actor, id, entry string) error {
	_, err := s.mailboxDeed(ctx, actor, permission.MailboxWrite, id, nil, func(ctx context.Context, tx *sqldb.Tx, m ServiceMailbox) (map[string]string, bool, error) {
		who, err := deleteMailboxUser(ctx, tx, id, entry)
		return map[string]string{"address": m.Address, "removed": who}, false, err
	})
	return err
}
