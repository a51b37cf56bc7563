package metric

// Builtin returns the metrics of this package. Packages formula, lookup and program
// under metric have each one more: append them, or Register them.
func Builtin() Registry {
	return Registry{
		plain(lengthInfo, func(info Info) Metric { return length{info} }),
		effectiveLengthDefinition(),
		plain(rarityInfo, func(info Info) Metric { return rarity{info: info} }),
		plain(meanRarityInfo, func(info Info) Metric { return rarity{info: info, mean: true} }),
		compressionDefinition(),
		diversityDefinition(),
		plain(readabilityInfo, func(info Info) Metric { return readability{info} }),
		repetitionDefinition(),
		perplexityDefinition(),
	}
}

// plain is a metric without parameters.
func plain(info Info, make func(Info) Metric) Definition {
	return Definition{Name: info.Name, Summary: info.Summary, Make: func(args *Args) (Metric, error) {
		return make(args.Info(info)), nil
	}}
}
