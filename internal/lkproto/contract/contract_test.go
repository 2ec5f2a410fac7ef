package contract

import (
	"fmt"
	"os"
	"strings"
	"testing"

	_ "github.com/livekit/protocol/livekit" // registers the official descriptors
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

const ours, official = "commsd.lk.", "livekit."

func descriptors(t *testing.T, change func(*descriptorpb.FileDescriptorProto)) protoreflect.FileDescriptor {
	t.Helper()
	data, err := os.ReadFile("../signal.binpb")
	if err != nil {
		t.Fatal(err)
	}
	var file descriptorpb.FileDescriptorProto
	if err := proto.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&file)
	}
	d, err := protodesc.NewFile(&file, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestMessagesAreLiveKits(t *testing.T) {
	checked, faults := compare(descriptors(t, nil))
	for _, f := range faults {
		t.Error(f)
	}
	if checked < 200 {
		t.Errorf("only %d fields and values were compared", checked)
	}
}

// TestDifferencesAreFound shows that the comparison can fail.
func TestDifferencesAreFound(t *testing.T) {
	message := func(f *descriptorpb.FileDescriptorProto, name string) *descriptorpb.DescriptorProto {
		for _, m := range f.GetMessageType() {
			if m.GetName() == name {
				return m
			}
		}
		t.Fatalf("no message %s", name)
		return nil
	}
	for want, change := range map[string]func(*descriptorpb.FileDescriptorProto){
		"MuteTrackRequest.sid: number": func(f *descriptorpb.FileDescriptorProto) {
			message(f, "MuteTrackRequest").Field[0].Number = proto.Int32(9)
		},
		"MuteTrackRequest.muted: kind": func(f *descriptorpb.FileDescriptorProto) {
			message(f, "MuteTrackRequest").Field[1].Type = descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum()
		},
		"MuteTrackRequest.mooted: not there": func(f *descriptorpb.FileDescriptorProto) {
			message(f, "MuteTrackRequest").Field[1].Name = proto.String("mooted")
		},
		"UpdateSubscription.track_sids: cardinality": func(f *descriptorpb.FileDescriptorProto) {
			message(f, "UpdateSubscription").Field[0].Label = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
		},
		"SpeakersChanged.speakers: type": func(f *descriptorpb.FileDescriptorProto) {
			message(f, "SpeakersChanged").Field[0].TypeName = proto.String(".commsd.lk.Room")
		},
		"TrackType.VIDEO: value": func(f *descriptorpb.FileDescriptorProto) {
			for _, e := range f.GetEnumType() {
				if e.GetName() == "TrackType" {
					e.Value[1].Number = proto.Int32(7)
				}
			}
		},
	} {
		_, faults := compare(descriptors(t, change))
		if len(faults) != 1 || !strings.HasPrefix(faults[0], want) {
			t.Errorf("found %q, want %s", faults, want)
		}
	}
}

// compare looks up everything of file in the official descriptors.
func compare(file protoreflect.FileDescriptor) (checked int, faults []string) {
	c := &comparison{}
	c.enums(file.Enums())
	c.messages(file.Messages())
	return c.checked, c.faults
}

type comparison struct {
	checked int
	faults  []string
}

func (c *comparison) fault(d protoreflect.Descriptor, format string, args ...any) {
	c.faults = append(c.faults, strings.TrimPrefix(string(d.FullName()), ours)+": "+fmt.Sprintf(format, args...))
}

// twin finds the official descriptor of the same name.
func (c *comparison) twin(d protoreflect.Descriptor) protoreflect.Descriptor {
	name, ok := strings.CutPrefix(string(d.FullName()), ours)
	if !ok {
		c.fault(d, "not of package %s", ours)
		return nil
	}
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(official + name))
	if err != nil {
		c.fault(d, "not there: %v", err)
		return nil
	}
	return found
}

func (c *comparison) messages(all protoreflect.MessageDescriptors) {
	for i := range all.Len() {
		m := all.Get(i)
		if m.IsMapEntry() {
			continue // compared where it is used
		}
		c.enums(m.Enums())
		c.messages(m.Messages())
		twin, ok := c.twin(m).(protoreflect.MessageDescriptor)
		if !ok {
			continue
		}
		for j := range m.Fields().Len() {
			c.field(m.Fields().Get(j), twin)
		}
	}
}

func (c *comparison) field(f protoreflect.FieldDescriptor, in protoreflect.MessageDescriptor) {
	c.checked++
	twin := in.Fields().ByName(f.Name())
	switch {
	case twin == nil:
		c.fault(f, "not there")
	case f.Number() != twin.Number():
		c.fault(f, "number %d, officially %d", f.Number(), twin.Number())
	case f.IsMap() != twin.IsMap() || f.Cardinality() != twin.Cardinality() || f.HasOptionalKeyword() != twin.HasOptionalKeyword():
		c.fault(f, "cardinality %v, officially %v", f.Cardinality(), twin.Cardinality())
	case f.Kind() != twin.Kind():
		c.fault(f, "kind %v, officially %v", f.Kind(), twin.Kind())
	case f.JSONName() != twin.JSONName():
		c.fault(f, "JSON name %s, officially %s", f.JSONName(), twin.JSONName())
	case oneof(f) != oneof(twin):
		c.fault(f, "oneof %q, officially %q", oneof(f), oneof(twin))
	case f.IsMap():
		if f.MapKey().Kind() != twin.MapKey().Kind() || f.MapValue().Kind() != twin.MapValue().Kind() || typeOf(f.MapValue()) != typeOf(twin.MapValue()) {
			c.fault(f, "map of other types")
		}
	case typeOf(f) != typeOf(twin):
		c.fault(f, "type %s, officially %s", typeOf(f), typeOf(twin))
	}
}

// typeOf names the message or enum of a field without its package.
func typeOf(f protoreflect.FieldDescriptor) string {
	var name string
	switch {
	case f.Message() != nil:
		name = string(f.Message().FullName())
	case f.Enum() != nil:
		name = string(f.Enum().FullName())
	}
	return strings.TrimPrefix(strings.TrimPrefix(name, ours), official)
}

func oneof(f protoreflect.FieldDescriptor) string {
	if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
		return string(o.Name())
	}
	return ""
}

func (c *comparison) enums(all protoreflect.EnumDescriptors) {
	for i := range all.Len() {
		e := all.Get(i)
		twin, ok := c.twin(e).(protoreflect.EnumDescriptor)
		if !ok {
			continue
		}
		for j := range e.Values().Len() {
			v := e.Values().Get(j)
			c.checked++
			switch o := twin.Values().ByName(v.Name()); {
			case o == nil:
				c.faults = append(c.faults, fmt.Sprintf("%s.%s: not there", e.Name(), v.Name()))
			case o.Number() != v.Number():
				c.faults = append(c.faults, fmt.Sprintf("%s.%s: value %d, officially %d", e.Name(), v.Name(), v.Number(), o.Number()))
			}
		}
	}
}
