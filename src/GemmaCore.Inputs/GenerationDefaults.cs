namespace GemmaCore.Inputs;

/// <summary>What <c>generation_config.json</c> wants when the user says nothing; absent keys take the values of transformers.</summary>
/// <param name="DoSample">False: the most likely token each time.</param>
/// <param name="Temperature">Divides the logits; 1 leaves them.</param>
/// <param name="TopK">Keep this many of the most likely tokens; 0 keeps all.</param>
/// <param name="TopP">Keep the most likely tokens up to this share of probability; 1 keeps all.</param>
/// <param name="MinP">Keep tokens at least this likely relative to the most likely one; 0 keeps all.</param>
/// <param name="RepetitionPenalty">Divides positive and multiplies negative logits of tokens already seen; 1 leaves them.</param>
/// <param name="MaxNewTokens">Longest answer; null when the file does not say.</param>
/// <param name="StopIds">Tokens that end an answer, ascending: the configured ones and always the end of a turn.</param>
public sealed record GenerationDefaults(
    bool DoSample, double Temperature, int TopK, double TopP, double MinP, double RepetitionPenalty, int? MaxNewTokens, IReadOnlyList<int> StopIds)
{
    /// <summary>Reads the folder's <c>generation_config.json</c> if there is one.</summary>
    /// <exception cref="InputException">A value of the wrong kind or out of range.</exception>
    public static GenerationDefaults Load(string folder, Tokenizer tokenizer)
    {
        JsonInput config = JsonInput.FromFileIfPresent(Path.Combine(folder, "generation_config.json"));
        bool doSample = config.Optional("do_sample").FlagOr(false);
        JsonInput maxNewTokens = config.Optional("max_new_tokens");
        return new GenerationDefaults(
            doSample,
            InRange(config.Optional("temperature"), 1, 0, double.MaxValue),
            (int)InRange(config.Optional("top_k"), 50, 0, int.MaxValue),
            InRange(config.Optional("top_p"), 1, 0, 1),
            InRange(config.Optional("min_p"), 0, 0, 1),
            InRange(config.Optional("repetition_penalty"), 1, double.Epsilon, double.MaxValue),
            maxNewTokens.IsNull ? null : (int)InRange(maxNewTokens, 0, 1, int.MaxValue),
            ReadStopIds(config.Optional("eos_token_id"), tokenizer));
    }

    private static double InRange(JsonInput value, double fallback, double least, double most)
    {
        double number = value.NumberOr(fallback);
        return number >= least && number <= most ? number : throw value.Wrong($"from {least:G3} to {most:G3}");
    }

    // Some fine-tunes list only <eos>, some only <end_of_turn>, and the tokenizer's own eos differs between uploads: all count.
    private static List<int> ReadStopIds(JsonInput configured, Tokenizer tokenizer)
    {
        var stopIds = new SortedSet<int>();
        if (configured.Kind == System.Text.Json.JsonValueKind.Array)
            foreach (JsonInput id in configured.Items()) stopIds.Add(id.Integer());
        else if (!configured.IsNull) stopIds.Add(configured.Integer());
        if (tokenizer.EosId >= 0) stopIds.Add(tokenizer.EosId);
        if (tokenizer.IdOf("<end_of_turn>") is >= 0 and int endOfTurn) stopIds.Add(endOfTurn);
        return [.. stopIds];
    }
}
