using System.Runtime.InteropServices;
using GemmaCore.Checkpoints;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

/// <summary>The embedded model with an adapter folded in. So that the result is not rounded to bf16, the base is written as f32 first.</summary>
internal static class MergedModel
{
    public static void Write(EmbeddedModel embedded, LoraAdapter adapter, string folder)
    {
        string wide = folder + "-wide";
        try
        {
            using (CheckpointFolder source = CheckpointFolder.Open(Goldens.DemoPath("model"), embedded.Device))
            {
                SafetensorsWriter.WriteCheckpoint(wide, [.. source.Files.SelectMany(file => file.Header.Tensors.Keys.Select(name =>
                {
                    TensorView view = file.View(name);
                    return new WritableTensor(name, DType.F32, view.Shape, stream =>
                        stream.Write(MemoryMarshal.AsBytes<float>(view.ToFloats())));
                }))]);
            }

            File.Copy(Goldens.DemoPath("model/config.json"), Path.Combine(wide, "config.json"));
            AdapterMerge.Write(embedded.Model, adapter, wide, folder);
        }
        finally
        {
            Directory.Delete(wide, recursive: true);
        }
    }
}
