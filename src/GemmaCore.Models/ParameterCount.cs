using GemmaCore.Checkpoints;
using GemmaCore.Ops;

namespace GemmaCore.Models;

/// <summary>How many parameters a checkpoint has, whatever its tensors pack them into.</summary>
public static class ParameterCount
{
    /// <summary>
    /// Counts a tensor of codes as the elements it stands for and what belongs to it (magnitudes, maps, states) as none; every other tensor as it is stored.
    /// </summary>
    /// <param name="model">The model loaded from the checkpoint.</param>
    /// <param name="tensors">All tensors of the checkpoint.</param>
    public static long Of(LanguageModel model, IEnumerable<StoredTensor> tensors)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(tensors);
        Dictionary<string, WeightMatrix> quantised = model.Linears.Where(layer => layer.Weight is not DenseMatrix).ToDictionary(layer => layer.Path + ".weight", layer => layer.Weight);
        if (model.Embeddings is not DenseMatrix) quantised[LanguageModel.EmbeddingsName] = model.Embeddings;
        if (model.Head is not DenseMatrix) quantised[LanguageModel.HeadName] = model.Head;
        return tensors.Sum(tensor => Of(tensor, quantised));
    }

    private static long Of(StoredTensor tensor, Dictionary<string, WeightMatrix> quantised)
    {
        string name = WeightNames.Canonical(tensor.Name) ?? tensor.Name;
        if (quantised.TryGetValue(name, out WeightMatrix? matrix)) return matrix.Shape.ElementCount;
        // bitsandbytes: X.weight.absmax and so on, or X.SCB and X.weight_format; in groups: X.weight_scale.
        int weight = name.IndexOf(".weight", StringComparison.Ordinal);
        string owner = weight >= 0 ? name[..(weight + ".weight".Length)] : name.EndsWith(".SCB", StringComparison.Ordinal) ? name[..^".SCB".Length] + ".weight" : "";
        return quantised.ContainsKey(owner) ? 0 : tensor.ElementCount;
    }
}
