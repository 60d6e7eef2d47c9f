using System.Text.Json;

namespace GemmaCore.Inputs;

/// <summary>Reads <c>tokenizer.json</c>. Only the SentencePiece family is known; every other setting is refused by name.</summary>
internal static class TokenizerJson
{
    private const string SpaceMark = "\u2581";
    private const int LargestId = 1 << 24; // far above any vocabulary; bounds the memory a broken file can ask for

    public static TokenizerDefinition Read(JsonInput root, string file, TokenizerSettings settings)
    {
        JsonInput model = root.Required("model");
        RefuseUnknownModel(model);
        var ids = new Dictionary<string, int>();
        foreach ((string piece, JsonInput id) in model.Required("vocab").Members()) ids[piece] = IdIn(id);
        List<AddedToken> added = [];
        foreach (JsonInput token in root.Optional("added_tokens").Items())
        {
            AddedToken read = TokenizerSettings.ReadAddedToken(token, IdIn(token.Required("id")));
            added.Add(read);
            ids.TryAdd(read.Content, read.Id);
        }
        if (ids.Count == 0) throw model.Required("vocab").Wrong("a vocabulary with at least one token");
        var pieces = new string?[ids.Values.Max() + 1];
        foreach ((string piece, int id) in ids) pieces[id] = piece;

        MergeTable merges = ReadMerges(model.Required("merges"), ids);
        Normalisation normalisation = ReadNormalisation(root);
        return new TokenizerDefinition
        {
            File = file,
            Pieces = pieces,
            Ids = ids,
            Merges = merges,
            AddedTokens = added,
            ByteFallback = model.Optional("byte_fallback").FlagOr(false),
            FuseUnknown = model.Optional("fuse_unk").FlagOr(false),
            Prefix = normalisation.Prefix,
            StripsLeadingSpace = StripsLeadingSpace(root.Optional("decoder")),
            UnknownId = ids.GetValueOrDefault(model.Optional("unk_token").TextOr(""), -1),
            BosId = SpecialId(ids, settings.Bos ?? OpeningToken(root.Optional("post_processor")), "<bos>", "<s>"),
            EosId = SpecialId(ids, settings.Eos, "<eos>", "</s>"),
            PadId = SpecialId(ids, settings.Pad, "<pad>"),
        };
    }

    /// <summary>The id of a named token, else of the first customary name that exists, else -1.</summary>
    public static int SpecialId(Dictionary<string, int> ids, string? name, params ReadOnlySpan<string> customary)
    {
        if (name is not null && ids.TryGetValue(name, out int id)) return id;
        foreach (string candidate in customary)
            if (ids.TryGetValue(candidate, out id)) return id;
        return -1;
    }

    private static void RefuseUnknownModel(JsonInput model)
    {
        if (model.Optional("type").TextOr("BPE") != "BPE") throw model.Optional("type").Wrong("\"BPE\", the only tokenizer model supported");
        if (model.Optional("ignore_merges").FlagOr(false)) throw model.Optional("ignore_merges").Wrong("false (whole-word lookup is not supported)");
        if (model.Optional("dropout").NumberOr(0) != 0) throw model.Optional("dropout").Wrong("null or 0");
        foreach (string key in (ReadOnlySpan<string>)["continuing_subword_prefix", "end_of_word_suffix"])
            if (model.Optional(key).TextOr("") != "") throw model.Optional(key).Wrong("null (not a SentencePiece vocabulary)");
    }

    private static int IdIn(JsonInput value)
    {
        int id = value.Integer();
        return (uint)id < LargestId ? id : throw value.Wrong($"a token id from 0 to {LargestId - 1}");
    }

    private static MergeTable ReadMerges(JsonInput merges, Dictionary<string, int> ids)
    {
        var table = new MergeTable(merges.Length);
        int rank = 0;
        foreach (JsonInput merge in merges.Items())
        {
            (string left, string right) = ReadPair(merge);
            if (!ids.TryGetValue(left, out int leftId) || !ids.TryGetValue(right, out int rightId) || !ids.TryGetValue(left + right, out int merged))
                throw merge.Wrong("two tokens of the vocabulary whose concatenation is one too");
            table.Add(leftId, rightId, rank++, merged);
        }
        return table;
    }

    // Newer files write ["a", "b"], older ones "a b".
    private static (string Left, string Right) ReadPair(JsonInput merge)
    {
        if (merge.Kind == JsonValueKind.Array)
            return merge.Length == 2 ? (merge.Item(0).Text(), merge.Item(1).Text()) : throw merge.Wrong("a pair of tokens");
        string text = merge.Text();
        int space = text.IndexOf(' ', StringComparison.Ordinal);
        return space > 0 && space < text.Length - 1 ? (text[..space], text[(space + 1)..]) : throw merge.Wrong("two tokens with a space between");
    }

    private sealed record Normalisation(SpacePrefix Prefix, bool ReplacesSpaces);

    private static Normalisation ReadNormalisation(JsonInput root)
    {
        var prefix = SpacePrefix.None;
        bool replaces = false;
        foreach (JsonInput step in StepsOf(root.Optional("normalizer"), "normalizers"))
        {
            switch (step.Required("type").Text())
            {
                case "Prepend" when step.Required("prepend").Text() == SpaceMark:
                    prefix = SpacePrefix.EverySegment;
                    break;
                case "Replace" when step.Required("pattern").Optional("String").TextOr("") == " " && step.Required("content").Text() == SpaceMark:
                    replaces = true;
                    break;
                default:
                    throw step.Wrong("a replacement of spaces by U+2581 or a prefix of U+2581, the only normalisations supported");
            }
        }
        foreach (JsonInput step in StepsOf(root.Optional("pre_tokenizer"), "pretokenizers"))
        {
            switch (step.Required("type").Text())
            {
                // Once every space is replaced this splits nothing.
                case "Split" when replaces && step.Required("pattern").Optional("String").TextOr("") == " ":
                    break;
                case "Metaspace" when step.Optional("replacement").TextOr(SpaceMark) == SpaceMark && !step.Optional("split").FlagOr(true):
                    replaces = true;
                    prefix = step.Optional("prepend_scheme").TextOr("always") switch
                    {
                        "never" => prefix,
                        "first" => SpacePrefix.FirstSegment,
                        "always" => SpacePrefix.EverySegment,
                        _ => throw step.Optional("prepend_scheme").Wrong("\"always\", \"first\" or \"never\""),
                    };
                    break;
                default:
                    throw step.Wrong("a split at spaces or a Metaspace without splitting, the only pre-tokenisations supported");
            }
        }
        return replaces ? new Normalisation(prefix, replaces) : throw root.Optional("normalizer").Wrong("one that replaces spaces by U+2581");
    }

    private static bool StripsLeadingSpace(JsonInput decoder)
    {
        foreach (JsonInput step in StepsOf(decoder, "decoders"))
        {
            switch (step.Required("type").Text())
            {
                case "Strip" when step.Optional("content").TextOr(" ") == " " && step.Optional("stop").IntegerOr(0) == 0:
                    if (step.Optional("start").IntegerOr(0) == 1) return true;
                    break;
                case "Metaspace" when step.Optional("prepend_scheme").TextOr("always") != "never":
                    return true;
                case "Replace" or "ByteFallback" or "Fuse" or "Metaspace":
                    break;
                default:
                    throw step.Wrong("Replace, ByteFallback, Fuse or Strip of one leading space, the only decoding steps supported");
            }
        }
        return false;
    }

    // The first special token of the template for single texts.
    private static string? OpeningToken(JsonInput postProcessor)
    {
        if (postProcessor.IsNull) return null;
        foreach (JsonInput step in StepsOf(postProcessor, "processors"))
            if (step.Optional("type").TextOr("") == "TemplateProcessing" && step.Optional("single") is { IsNull: false } single && single.Length > 0)
                return single.Item(0).Optional("SpecialToken") is { IsNull: false } token ? token.Required("id").Text() : null;
        return null;
    }

    private static IEnumerable<JsonInput> StepsOf(JsonInput step, string listKey)
    {
        if (step.IsNull) return [];
        return step.Optional("type").TextOr("") == "Sequence" ? step.Required(listKey).Items() : [step];
    }
}
