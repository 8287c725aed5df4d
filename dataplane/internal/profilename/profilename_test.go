package profilename

import (
	"testing"

	"github.com/google/pprof/profile"
)

func TestNames(t *testing.T) {
	for _, one := range []struct {
		types  []string
		config string
		want   string
	}{
		{[]string{"samples", "cpu"}, "", "process_cpu"},
		{[]string{"samples", "wall", "cpu"}, "", "wall"},
		{[]string{"objects", "space"}, "", "memory"},
		{[]string{"alloc_objects", "inuse_space"}, "", "memory"},
		{[]string{"contentions", "delay"}, "", "mutex"},
		{[]string{"contentions", "delay"}, `{"contentions": {"display-name": "block_count"}}`, "block"},
		{[]string{"goroutine"}, "", "goroutines"},
		{[]string{"other"}, "", "other"},
		{nil, "", ""},
	} {
		read := &profile.Profile{}
		for _, kind := range one.types {
			read.SampleType = append(read.SampleType, &profile.ValueType{Type: kind})
		}
		var config []byte
		if one.config != "" {
			config = []byte(one.config)
		}
		if found, err := Of(read, config); err != nil || found != one.want {
			t.Errorf("%v: %q %v", one, found, err)
		}
	}
	if _, err := Of(&profile.Profile{}, []byte("{")); err == nil {
		t.Error("a config that is none")
	}
}
