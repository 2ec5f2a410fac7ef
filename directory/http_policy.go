package directory

import (
	"context"

	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/httpapi"
)

// directoryVisibility says who sees which field of an entry.
type directoryVisibility struct {
	Entry   string `json:"entry" enum:"public,all_agencies,own_agency,own_unit,hidden" doc:"the person as a whole: found by search, in lists, in address books"`
	Name    string `json:"name" enum:"public,all_agencies,own_agency,own_unit,hidden" doc:"hides the entry too"`
	Title   string `json:"title" enum:"public,all_agencies,own_agency,own_unit,hidden"`
	Unit    string `json:"unit" enum:"public,all_agencies,own_agency,own_unit,hidden"`
	Agency  string `json:"agency" enum:"public,all_agencies,own_agency,own_unit,hidden"`
	Address string `json:"address" enum:"public,all_agencies,own_agency,own_unit,hidden"`
	Phone   string `json:"phone" enum:"public,all_agencies,own_agency,own_unit,hidden" doc:"of the desk"`
	Mobile  string `json:"mobile" enum:"public,all_agencies,own_agency,own_unit,hidden"`
	Office  string `json:"office" enum:"public,all_agencies,own_agency,own_unit,hidden"`
	Photo   string `json:"photo" enum:"public,all_agencies,own_agency,own_unit,hidden"`
}

// directoryPolicy is what an agency decided for its people.
type directoryPolicy struct {
	Visibility directoryVisibility `json:"visibility"`
	Personal   []string            `json:"personal" nullable:"false" enum:"phone,mobile,office,photo" doc:"fields whose level people may set for themselves"`
	SignIn     struct {
		SecondFactor string `json:"second_factor" enum:"administrators,everybody" doc:"who needs a second factor to sign in"`
		AppPasswords bool   `json:"app_passwords" doc:"mail clients and address books may sign in by app passwords"`
	} `json:"sign_in"`
}

type agencyPolicyInput struct {
	ID string `path:"id" maxLength:"64"`
}

type setAgencyPolicyInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body directoryPolicy
}

type agencyPolicyOutput struct{ Body directoryPolicy }

// directoryOverride is what stands above the policy for one person; an empty
// level leaves the field to the policy.
type directoryOverride struct {
	Field string `json:"field" enum:"entry,name,title,unit,agency,address,phone,mobile,office,photo"`
	Level string `json:"level" enum:"public,all_agencies,own_agency,own_unit,hidden"`
}

type ownVisibilityOutput struct {
	Body struct {
		Effective directoryVisibility `json:"effective" doc:"who sees what of me now"`
		Allowed   []string            `json:"allowed" nullable:"false" enum:"phone,mobile,office,photo" doc:"what my agency lets me set"`
		Own       []directoryOverride `json:"own" nullable:"false" doc:"what I set"`
		SetBy     []directoryOverride `json:"set_by_administrator" nullable:"false" doc:"what an administrator set for me, which stands above the rest"`
	}
}

type setOwnVisibilityInput struct {
	Body struct {
		Own []directoryOverride `json:"own" nullable:"false" maxItems:"10" doc:"all that I set; what is not in it follows the agency again"`
	}
}

type personVisibilityInput struct {
	ID string `path:"id" maxLength:"64"`
}

type setPersonVisibilityInput struct {
	ID   string `path:"id" maxLength:"64"`
	Body struct {
		SetBy []directoryOverride `json:"set_by_administrator" nullable:"false" maxItems:"10" doc:"all that an administrator sets; what is not in it follows the agency again"`
	}
}

func (s *Service) policyRoutes(api *httpapi.API) {
	httpapi.Get(api, "get-agency-policy", tag, "/api/v1/directory/agencies/{id}/policy", "Show who sees what of an agency's people, and how they sign in",
		func(ctx context.Context, actor identity.Actor, in *agencyPolicyInput) (*agencyPolicyOutput, error) {
			p, err := s.AgencyPolicy(ctx, actor, identity.AgencyID(in.ID))
			if err != nil {
				return nil, err
			}
			return &agencyPolicyOutput{Body: policyJSON(p)}, nil
		})
	httpapi.Put(api, "set-agency-policy", tag, "/api/v1/directory/agencies/{id}/policy", "Decide who sees what of an agency's people, and how they sign in",
		func(ctx context.Context, actor identity.Actor, in *setAgencyPolicyInput) (*agencyPolicyOutput, error) {
			p, err := s.SetAgencyPolicy(ctx, actor, identity.AgencyID(in.ID), policyOf(in.Body))
			if err != nil {
				return nil, err
			}
			return &agencyPolicyOutput{Body: policyJSON(p)}, nil
		})
	httpapi.Get(api, "get-own-visibility", tag, "/api/v1/account/visibility", "Show who sees what of me",
		func(ctx context.Context, actor identity.Actor, _ *struct{}) (*ownVisibilityOutput, error) {
			return ownVisibility(s.PersonVisibility(ctx, actor, actor.Person))
		})
	httpapi.Put(api, "set-own-visibility", tag, "/api/v1/account/visibility", "Set who sees what of me, where my agency lets me",
		func(ctx context.Context, actor identity.Actor, in *setOwnVisibilityInput) (*ownVisibilityOutput, error) {
			return ownVisibility(s.SetOwnVisibility(ctx, actor, levelsOf(in.Body.Own)))
		})
	httpapi.Get(api, "get-person-visibility", tag, "/api/v1/directory/people/{id}/visibility", "Show who sees what of a person; for the person's administrators",
		func(ctx context.Context, actor identity.Actor, in *personVisibilityInput) (*ownVisibilityOutput, error) {
			return ownVisibility(s.PersonVisibility(ctx, actor, identity.PersonID(in.ID)))
		})
	httpapi.Put(api, "set-person-visibility", tag, "/api/v1/directory/people/{id}/visibility", "Decide who sees what of a person, above policy and the person's own choice",
		func(ctx context.Context, actor identity.Actor, in *setPersonVisibilityInput) (*ownVisibilityOutput, error) {
			return ownVisibility(s.SetPersonVisibility(ctx, actor, identity.PersonID(in.ID), levelsOf(in.Body.SetBy)))
		})
}

func policyJSON(p AgencyPolicy) directoryPolicy {
	out := directoryPolicy{Visibility: visibilityJSON(p.Visibility.Levels), Personal: []string{}}
	for _, f := range p.Visibility.Personal {
		out.Personal = append(out.Personal, string(f))
	}
	out.SignIn.SecondFactor = string(p.SignIn.SecondFactor)
	out.SignIn.AppPasswords = p.SignIn.AppPasswords
	return out
}

func policyOf(in directoryPolicy) AgencyPolicy {
	v := in.Visibility
	p := AgencyPolicy{SignIn: SignInPolicy{SecondFactor: SecondFactorFor(in.SignIn.SecondFactor), AppPasswords: in.SignIn.AppPasswords}}
	p.Visibility.Levels = visibility.Levels{}
	for f, word := range map[visibility.Field]string{
		visibility.FieldEntry: v.Entry, visibility.FieldName: v.Name, visibility.FieldTitle: v.Title, visibility.FieldUnit: v.Unit, visibility.FieldAgency: v.Agency,
		visibility.FieldAddress: v.Address, visibility.FieldPhone: v.Phone, visibility.FieldMobile: v.Mobile, visibility.FieldOffice: v.Office, visibility.FieldPhoto: v.Photo,
	} {
		if level, ok := visibility.ParseLevel(word); ok { // huma has refused other words
			p.Visibility.Levels[f] = level
		}
	}
	for _, f := range in.Personal {
		p.Visibility.Personal = append(p.Visibility.Personal, visibility.Field(f))
	}
	return p
}

// visibilityJSON writes all fields; levels holds them all.
func visibilityJSON(levels visibility.Levels) directoryVisibility {
	word := func(f visibility.Field) string { return levels[f].String() }
	return directoryVisibility{Entry: word(visibility.FieldEntry), Name: word(visibility.FieldName), Title: word(visibility.FieldTitle), Unit: word(visibility.FieldUnit),
		Agency: word(visibility.FieldAgency), Address: word(visibility.FieldAddress), Phone: word(visibility.FieldPhone), Mobile: word(visibility.FieldMobile),
		Office: word(visibility.FieldOffice), Photo: word(visibility.FieldPhoto)}
}

func ownVisibility(v PersonVisibility, err error) (*ownVisibilityOutput, error) {
	if err != nil {
		return nil, err
	}
	out := &ownVisibilityOutput{}
	out.Body.Effective, out.Body.Allowed = visibilityJSON(v.Effective), []string{}
	for _, f := range v.Allowed {
		out.Body.Allowed = append(out.Body.Allowed, string(f))
	}
	out.Body.Own, out.Body.SetBy = overridesJSON(v.Own), overridesJSON(v.SetBy)
	return out, nil
}

func overridesJSON(levels visibility.Levels) []directoryOverride {
	out := []directoryOverride{}
	for _, f := range visibility.Fields() {
		if level, ok := levels[f]; ok {
			out = append(out, directoryOverride{Field: string(f), Level: level.String()})
		}
	}
	return out
}

func levelsOf(list []directoryOverride) visibility.Levels {
	out := visibility.Levels{}
	for _, o := range list {
		if level, ok := visibility.ParseLevel(o.Level); ok { // huma has refused other words
			out[visibility.Field(o.Field)] = level
		}
	}
	return out
}
