using GemmaCore.Checkpoints;
using GemmaCore.Generation;
using GemmaCore.Inputs;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Cli;

/// <summary>Answers the rows of a data set into a prediction file, batch by batch; what the file holds already is not asked again.</summary>
/// <param name="model">The model.</param>
/// <param name="encoder">Its way in, with the settings for pictures.</param>
/// <param name="batch">Questions answered together.</param>
/// <param name="maxTokens">Most tokens of an answer; null for what the task needs.</param>
/// <param name="questions">Labels to score; null for none.</param>
/// <param name="report">What happens with rows that cannot be asked.</param>
internal sealed class DatasetAnswers(GemmaModel model, PromptEncoder encoder, int batch, int? maxTokens, LabelQuestions? questions, RowReport report)
{
    // Boxes of a whole chromosome set take some 700 tokens; cut off they are no JSON any more (flare.md §4).
    private const int UsualTokens = 256, InstanceTokens = 1024;

    /// <summary>Answers all rows, or those up to Ctrl-C.</summary>
    /// <returns>True when every row is answered or was left out.</returns>
    public bool Fill(string file, IReadOnlyList<TrainingExample> rows)
    {
        var predictions = new PredictionFile(file, rows);
        int unreadable = report.Skipped.Count; // rows left out while reading are not among those to answer
        Dictionary<string, PredictedAnswer> answers = predictions.Known(needScores: questions is not null);
        foreach (TrainingExample[] chunk in rows.Where(row => !answers.ContainsKey(row.Row)).Chunk(Math.Max(1, batch)))
        {
            if (Edge.Interrupted.IsCancellationRequested) break;
            Answer(chunk, answers);
            AtomicFile.WriteAllText(file, predictions.Document(answers));
            Console.Error.WriteLine($"{answers.Count}/{rows.Count}");
        }

        foreach (string skipped in report.Lines) Console.Error.WriteLine($"left out: {skipped}");
        return answers.Count + report.Skipped.Count - unreadable >= rows.Count;
    }

    private SamplingParams Parameters(TrainingExample row) => new() { MaxTokens = maxTokens ?? (row.IsInstanceDetection ? InstanceTokens : UsualTokens) };

    private void Answer(TrainingExample[] rows, Dictionary<string, PredictedAnswer> answers)
    {
        PromptEncoder prompts = encoder.Remembering(); // every label of a row asks about its picture
        int positions = model.Model.Layout.MaxPositions;
        var usable = new List<(TrainingExample Row, Prompt Prompt)>();
        foreach (TrainingExample row in rows)
        {
            try
            {
                Prompt prompt = prompts.Encode(row.Prompt, addGenerationPrompt: true);
                if (prompt.Ids.Length < positions) usable.Add((row, prompt));
                else report.Add(row.Row, $"the prompt has {prompt.Ids.Length} tokens, but the model has {positions} positions and needs one for the answer");
            }
            catch (InputException error)
            {
                report.Add(row.Row, error.Message);
            }
        }

        (IReadOnlyList<ChatMessage> Messages, IReadOnlyList<string> Labels)[][] asked = [.. usable.Select(item => questions?.Of(item.Row).ToArray() ?? [])];
        (IReadOnlyList<GenerationResult> results, IReadOnlyList<IReadOnlyList<LabelScore>> scores) = model.GenerateAndScore(
            [.. usable.Select(item => (item.Prompt, Parameters(item.Row)))],
            [.. asked.SelectMany(row => row).Select(question => (prompts.Encode(question.Messages, addGenerationPrompt: true), question.Labels))],
            cancellation: Edge.Interrupted);
        if (Edge.Interrupted.IsCancellationRequested && questions is not null) return; // an answer without its scores would not be asked again
        for (int i = 0, scored = 0; i < results.Count; scored += asked[i++].Length)
        {
            if (results[i].FinishReason == FinishReason.Cancelled) continue;
            TrainingExample row = usable[i].Row;
            answers[row.Row] = new PredictedAnswer(results[i].Answer, questions is null ? null : questions.Read(row, [.. scores.Skip(scored).Take(asked[i].Length)]));
        }
    }
}
