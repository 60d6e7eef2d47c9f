using System.Globalization;
using System.Text.Json.Nodes;
using GemmaCore.Generation;
using Spectre.Console;

namespace GemmaCore.Cli;

/// <summary>What <c>verify</c> found: how a model is run, how far its answers are from transformers' (embedded model) and from the reference's.</summary>
/// <param name="Model">As the user named it.</param>
/// <param name="Device">Where it was computed.</param>
/// <param name="Precision">In which arithmetic.</param>
/// <param name="Weights">How linear layers, embeddings and head, keys and values are held.</param>
/// <param name="IsExact">Whether all of it is fp32 on weights as stored, which has a bar to meet; anything else has figures.</param>
/// <param name="Golden">Against transformers; null where there is nothing recorded.</param>
/// <param name="Prompts">Against the reference, by prompt; empty where the reference itself was measured.</param>
internal sealed record VerifyReport(
    string Model, string Device, string Precision, string Weights, bool IsExact, GoldenAnswers.Result? Golden, IReadOnlyList<(string Prompt, Fidelity Fidelity)> Prompts)
{
    // The bars of parity with transformers (docs/parity.md): logits relative to the largest, log-probabilities absolute.
    private const double LogitBar = 1e-4, LogprobBar = 1e-3;

    /// <summary>False where fp32 on weights as stored is not as near as it has to be.</summary>
    public bool Holds => !IsExact || ((Golden is null || (Golden.Equal == Golden.Answers && Golden.LargestDifference <= LogprobBar))
        && Prompts.All(item => item.Fidelity.RelativeDifference <= LogitBar));

    private Fidelity? All => Prompts.Count > 0 ? Fidelity.Of([.. Prompts.Select(item => item.Fidelity)]) : null;

    public void Write()
    {
        Console.WriteLine($"{Model} on {Device}, {Precision}; {Weights}");
        if (Golden is { } golden)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"transformers, fp32: {golden.Equal} of {golden.Answers} greedy answers equal token for token; ln p of their {golden.Tokens} tokens differs by at most {golden.LargestDifference:0.0E+0}"));
        }

        if (All is { } all)
        {
            var table = new Table { Border = TableBorder.Simple };
            table.AddColumn("CPU, fp32, weights as stored");
            foreach (string number in (string[])["tokens", "logits: largest difference", "of the largest", "KL a token", "largest", "same first choice", "greedy equal"]) table.AddColumn(new TableColumn(number).RightAligned());
            foreach ((string prompt, Fidelity fidelity) in Prompts) table.AddRow(Cells(prompt, fidelity));
            if (Prompts.Count > 1) table.AddRow(Cells("all", all));
            TerminalTable.Write(table);
        }

        if (IsExact) Console.WriteLine(Holds ? $"within {LogitBar:0E+0} of the largest logit and {LogprobBar:0E+0} of ln p, as fp32 has to be" : "OUTSIDE what fp32 has to be; please report it with the output of gemmacore doctor");
    }

    public JsonObject ToJson() => new()
    {
        ["model"] = Model,
        ["device"] = Device,
        ["precision"] = Precision,
        ["weights"] = Weights,
        ["transformers"] = Golden is { } golden
            ? new JsonObject { ["answers"] = golden.Answers, ["equal"] = golden.Equal, ["tokens"] = golden.Tokens, ["largest_logprob_difference"] = golden.LargestDifference }
            : null,
        ["prompts"] = new JsonArray([.. Prompts.Select(item => (JsonNode)Document(item.Prompt, item.Fidelity))]),
        ["all"] = All is { } all ? Document(null, all) : null,
        ["bar"] = IsExact ? new JsonObject { ["relative_difference"] = LogitBar, ["logprob_difference"] = LogprobBar, ["holds"] = Holds } : null,
    };

    private static JsonObject Document(string? prompt, Fidelity fidelity)
    {
        var document = new JsonObject();
        if (prompt is not null) document["prompt"] = prompt;
        document["tokens"] = fidelity.Positions;
        document["largest_difference"] = fidelity.LargestDifference;
        document["relative_difference"] = fidelity.RelativeDifference;
        document["mean_kl"] = fidelity.MeanDivergence;
        document["largest_kl"] = fidelity.LargestDivergence;
        document["same_first_choice"] = fidelity.SameChoices;
        document["greedy_equal"] = fidelity.EqualTokens;
        return document;
    }

    private static string[] Cells(string prompt, Fidelity fidelity)
    {
        static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
        return
        [
            Markup.Escape(prompt), Text($"{fidelity.Positions}"), Text($"{fidelity.LargestDifference:0.0E+0}"), Text($"{fidelity.RelativeDifference:0.0E+0}"), Text($"{fidelity.MeanDivergence:0.0E+0}"),
            Text($"{fidelity.LargestDivergence:0.0E+0}"), Text($"{fidelity.SameChoices}"), Text($"{fidelity.EqualTokens}"),
        ];
    }
}
