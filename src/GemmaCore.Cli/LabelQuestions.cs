using GemmaCore.Evaluation;
using GemmaCore.Inputs;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Cli;

/// <summary>
/// What is asked of the model to score a row's labels. Of a classification: how likely each option letter, or each given label, is as the answer. Of a
/// multi-label question: for each given label, or each that the data set lists, after the row's own question, whether it applies, yes or no.
/// </summary>
internal sealed class LabelQuestions(IReadOnlyList<string> labels)
{
    private static readonly string[] YesNo = ["yes", "no"];

    /// <summary>Conversations and the labels to score as answers to them; empty where a row has nothing to score.</summary>
    public IReadOnlyList<(IReadOnlyList<ChatMessage> Messages, IReadOnlyList<string> Labels)> Of(TrainingExample row) => row.Task switch
    {
        TaskType.Classification when Options(row) is { Count: > 1 } options => [(row.Prompt, options)],
        TaskType.MultiLabelClassification => [.. Labels(row).Select(label => (Ask(row.Prompt, label), (IReadOnlyList<string>)YesNo))],
        _ => [],
    };

    /// <summary>
    /// Per label its score, in the order of <see cref="Of"/>: ln p of the option, or ln P(yes) where the answer is yes or no.
    /// </summary>
    public IReadOnlyList<(string Label, double Score)> Read(TrainingExample row, IReadOnlyList<IReadOnlyList<Generation.LabelScore>> scores) =>
        row.Task == TaskType.MultiLabelClassification
            ? [.. Labels(row).Zip(scores, (label, answers) => (label, Math.Log(answers[0].Probability)))]
            : [.. scores.SelectMany(options => options).Select(option => (option.Label, option.Logprob))];

    private IReadOnlyList<string> Labels(TrainingExample row) => labels.Count > 0 ? labels : row.Labels;

    private IReadOnlyList<string> Options(TrainingExample row)
    {
        IReadOnlyList<string> letters = QuestionOptions.Letters(string.Concat(row.Prompt[^1].Content.OfType<TextPart>().Select(part => part.Text)));
        return letters.Count > 1 ? letters : labels;
    }

    // The row's own words stay in front, so that its picture and its question are computed once for all labels.
    private static ChatMessage[] Ask(IReadOnlyList<ChatMessage> prompt, string label) =>
        [.. prompt.SkipLast(1), new ChatMessage(ChatRole.User, [.. prompt[^1].Content, new TextPart($"\n\nDoes \"{label}\" apply? Answer yes or no.")])];
}
