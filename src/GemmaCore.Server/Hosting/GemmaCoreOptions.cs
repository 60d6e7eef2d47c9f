using GemmaCore.Models;
using GemmaCore.Tensors;
using Microsoft.Extensions.Options;

namespace GemmaCore.Server;

/// <summary>The model of an application, for <see cref="GemmaCoreServices.AddGemmaCore"/>. Text and numbers can come from configuration; a device is opened by code.</summary>
public sealed class GemmaCoreOptions
{
    /// <summary>A Hugging Face model folder.</summary>
    public string ModelPath { get; set; } = "";

    /// <summary>The model's name in requests; null for the folder's.</summary>
    public string? ModelName { get; set; }

    /// <summary>Adapter folders by the names that requests use for them.</summary>
    public IDictionary<string, string> Adapters { get; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>How to hold the weights of linear layers.</summary>
    public WeightFormat Weights { get; set; } = WeightFormat.AsStored;

    /// <summary>How to hold embeddings and output head: as stored, or int8.</summary>
    public WeightFormat Tables { get; set; } = WeightFormat.AsStored;

    /// <summary>Put pictures into a black square before they are resized, instead of squashing them (<see cref="Inputs.PromptEncoder.PadToSquare"/>).</summary>
    public bool PadPictures { get; set; }

    /// <summary>Turn pictures as their EXIF orientation says (<see cref="Inputs.PromptEncoder.ApplyOrientation"/>).</summary>
    public bool OrientPictures { get; set; }

    /// <summary>Opens the device, e.g. <c>() =&gt; CudaDevice.Open()</c>; the CPU if nobody says.</summary>
    public Func<Device> OpenDevice { get; set; } = () => new CpuDevice();

    /// <summary>Keys and limits of the routes. Address and port are the application's own business and not read.</summary>
    public ServerOptions Server { get; set; } = new();

    /// <summary>The name that requests use.</summary>
    internal string Name => ModelName ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(ModelPath)));

    /// <summary>Refuses what cannot work, at the start of the application.</summary>
    internal sealed class Validation : IValidateOptions<GemmaCoreOptions>
    {
        public ValidateOptionsResult Validate(string? name, GemmaCoreOptions options)
        {
            List<string> wrong = [];
            if (options.ModelPath.Length == 0) wrong.Add("GemmaCore: ModelPath is empty; expected a Hugging Face model folder");
            else if (!Directory.Exists(options.ModelPath)) wrong.Add($"GemmaCore: ModelPath {options.ModelPath}: there is no such folder");
            if (options.ModelName is { Length: 0 }) wrong.Add("GemmaCore: ModelName is empty; leave it out for the folder's name");
            foreach ((string adapter, string folder) in options.Adapters)
                if (!Directory.Exists(folder)) wrong.Add($"GemmaCore: Adapters['{adapter}'] {folder}: there is no such folder");
            try
            {
                options.Server.Validate();
            }
            catch (ArgumentOutOfRangeException error)
            {
                wrong.Add($"GemmaCore: Server.{error.Message.ReplaceLineEndings(" ")}");
            }

            return wrong.Count > 0 ? ValidateOptionsResult.Fail(wrong) : ValidateOptionsResult.Success;
        }
    }
}
