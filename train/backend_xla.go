//go:build xla && cgo

package train

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/installer"
	"github.com/gomlx/go-xla/pjrt"
	"github.com/gradus-ml/gradus/internal/fault"
)

// openXLA loads a PJRT plugin and opens the client of its devices. plugin is the path
// of the library; empty: it is looked for.
func openXLA(name, plugin string) (b *Backend, err error) {
	defer func() { // go-xla panics on a library in the search path that cannot be loaded
		if p := recover(); p != nil {
			b, err = nil, fmt.Errorf("backend %s: loading the PJRT plugin: %v", name, p)
		}
	}()
	platform := strings.TrimPrefix(name, "xla:")
	if plugin == "" {
		if plugin, err = findPlugin(name, platform); err != nil {
			return nil, err
		}
	} else if _, err := os.Stat(plugin); err != nil {
		return nil, fmt.Errorf("backend %s: its plugin: %w", name, err)
	}
	loaded, err := pjrt.GetPlugin(plugin)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %s is no PJRT plugin that can be loaded here; %s: %w", name, plugin, howToInstall(platform), short(err))
	}
	options := []string{plugin, "notf32"} // float32 means float32
	if platform == "cpu" {
		options = append(options, "shared_buffers")
	}
	c, err := xla.NewWithOptions(strings.Join(options, ","), nil)
	if err != nil {
		major, minor := loaded.Version()
		return nil, fmt.Errorf("backend %s: the plugin %s (PJRT %d.%d) opens no device: %w", name, plugin, major, minor, short(err))
	}
	if c.NumDevices() == 0 {
		c.Finalize()
		return nil, fmt.Errorf("backend %s: the plugin %s finds no device", name, plugin)
	}
	major, minor := loaded.Version()
	if on := c.DeviceDescription(0); strings.Contains(strings.ToLower(on), "cpu") != (platform == "cpu") {
		c.Finalize()
		return nil, fault.Mismatchf("backend %s: the plugin %s is for another kind of device: %s", name, plugin, on)
	}
	b = &Backend{
		Name: name, Library: fmt.Sprintf("XLA through PJRT %d.%d", major, minor), Path: plugin, Compute: c,
		Devices: 1, Shards: 1, SlowCompile: true,
	}
	if platform == "cpu" {
		// One graph uses all cores. The plugin's several devices are the same cores.
		b.On = fmt.Sprintf("all %d cores of this machine", runtime.NumCPU())
		return b, nil
	}
	b.Devices = c.NumDevices()
	var names []string
	for i := range b.Devices {
		names = append(names, c.DeviceDescription(compute.DeviceNum(i)))
	}
	b.On = strings.Join(names, ", ")
	b.Shards, b.BFloat16 = b.Devices, true
	operations := c.Capabilities().Operations
	b.Fused = operations[compute.OpTypeFusedScaledDotProductAttention] && operations[compute.OpTypeFusedScaledDotProductAttentionVJP]
	return b, nil
}

// findPlugin returns the path of an installed plugin for a platform.
func findPlugin(name, platform string) (string, error) {
	found := pjrt.AvailablePlugins()
	var names []string
	for n := range found {
		if n == platform || strings.HasPrefix(n, platform+"_") {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return "", fmt.Errorf("backend %s: no PJRT plugin for it is installed; %s", name, howToInstall(platform))
	}
	slices.Sort(names)
	return found[names[0]], nil
}

// howToInstall says how to get a plugin.
func howToInstall(platform string) string {
	return fmt.Sprintf("install one with 'gradus backends --install xla:%s', or name a library you have: --backend xla:%s:/path/to/pjrt_c_api_%s_plugin.so",
		platform, platform, platform)
}

// installXLA downloads the plugin of a platform. go-xla's installer does nothing
// where there is no such device.
func installXLA(name string) error {
	platform := strings.TrimPrefix(name, "xla:")
	if err := installer.AutoInstallPlugin(platform, "", true, installer.Quiet); err != nil {
		return fmt.Errorf("the PJRT plugin for %s could not be downloaded: %w", platform, short(err))
	}
	return nil
}
