namespace GemmaCore.Inputs;

/// <summary>What <c>tokenizer_config.json</c> and <c>added_tokens.json</c> say beside a tokenizer: extra tokens and the names of the special ones.</summary>
internal sealed record TokenizerSettings(IReadOnlyList<AddedToken> AddedTokens, string? Bos, string? Eos, string? Pad, string? ChatTemplate)
{
    public static TokenizerSettings None { get; } = new([], null, null, null, null);

    /// <summary>The settings in the folder of <paramref name="tokenizerPath"/>.</summary>
    public static TokenizerSettings Beside(string tokenizerPath)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(tokenizerPath))!;
        string file = Path.Combine(folder, "tokenizer_config.json");
        JsonInput config = JsonInput.FromFileIfPresent(file);
        var tokens = new Dictionary<int, AddedToken>();
        foreach ((string content, JsonInput id) in JsonInput.FromFileIfPresent(Path.Combine(folder, "added_tokens.json")).Members())
            tokens[id.Integer()] = new AddedToken(content, id.Integer(), IsSpecial: false);
        foreach ((string name, JsonInput token) in config.Optional("added_tokens_decoder").Members())
        {
            if (!int.TryParse(name, out int id)) throw new InputException($"{file}: 'added_tokens_decoder.{name}': the key should be a token id");
            tokens[id] = ReadAddedToken(token, id);
        }
        return new TokenizerSettings([.. tokens.Values], NameOf(config.Optional("bos_token")), NameOf(config.Optional("eos_token")),
            NameOf(config.Optional("pad_token")), ChatTemplateIn(config.Optional("chat_template")));
    }

    /// <summary>An added token of either file; what we would tokenise wrongly is refused.</summary>
    public static AddedToken ReadAddedToken(JsonInput token, int id)
    {
        foreach (string flag in (ReadOnlySpan<string>)["lstrip", "rstrip", "single_word"])
            if (token.Optional(flag).FlagOr(false)) throw token.Optional(flag).Wrong("false (added tokens that take their surroundings along are not supported)");
        return new AddedToken(token.Required("content").Text(), id, token.Optional("special").FlagOr(false));
    }

    private static string? NameOf(JsonInput token) =>
        token.IsNull ? null : token.Kind == System.Text.Json.JsonValueKind.Object ? token.Required("content").Text() : token.Text();

    // A list holds several named templates; the one called "default" counts.
    private static string? ChatTemplateIn(JsonInput template)
    {
        if (template.IsNull) return null;
        if (template.Kind == System.Text.Json.JsonValueKind.String) return template.Text();
        foreach (JsonInput named in template.Items())
            if (named.Optional("name").TextOr("") == "default") return named.Required("template").Text();
        return null;
    }
}
